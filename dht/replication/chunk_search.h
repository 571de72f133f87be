// SPDX-License-Identifier: MIT
// One look at which chunks of blobs their replicas hold. Values are neither read by the asker nor sent: a replica says
// when it was written what it has, so that whoever puts a file sends only what is missing or old
// (docs/data-model.md, "Blobs").
//
//   asking every usable replica ──all answered, or the deadline──► answered
#pragma once

#include <optional>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

struct ChunkSearchTerms {
  Ticket ticket = 0;
  std::vector<KeyHash> keys;
  WallMs since_ms = 0;  // what was written before does not count
  int w = 2;
  Instant began;
  Instant deadline;
};

class ChunkSearch {
 public:
  explicit ChunkSearch(ChunkSearchTerms terms) : terms_(std::move(terms)), found_(terms_.keys.size()) {}

  void start(Turn& turn);
  // A reply that is none to the question counts as silence.
  void on_answer(std::size_t slot, const FetchReply& reply);
  void on_silence() { waiting_ -= 1; }
  std::optional<Instant> next_deadline() const { return terms_.deadline; }

  // Empty until the client can be answered; then once.
  std::optional<Completion> take_completion(Instant now);
  bool is_finished() const { return is_answered_; }

 private:
  struct Question {
    NodeId node;
    std::vector<std::size_t> places;  // in terms_.keys
  };

  void look_here(Turn& turn, std::size_t place);
  void add_to_question(const NodeId& node, std::size_t place);
  void ask(Turn& turn, std::size_t slot);
  bool is_young(Seq written) const { return written > 0 && seq_wall_ms(written) >= terms_.since_ms; }

  ChunkSearchTerms terms_;
  std::vector<ChunkStanding> found_;
  std::vector<Question> questions_;
  std::size_t waiting_ = 0;
  bool is_answered_ = false;
};

}  // namespace kith::dht
