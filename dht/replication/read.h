// SPDX-License-Identifier: MIT
// One read at its coordinator (Dynamo §4.5, §5.2): one replica for the records, others for a digest; differences are
// fetched, merged, answered, and repaired at the replicas that lacked something.
//
//   asking ──R replies, equal digests──► answered ──► repairing the stale ──► finished
//     │  └──digests differ──► fetching records ──┘
//     └──nothing found while the members are changing──► widening to the next closest nodes ──┘
//
// While members come and go, the nodes asked may not be the nodes that were written to: then all N are asked and, for a
// short while, waited for, and a not-found is believed only when all have said so. A stand-in's not-found never counts.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/model/token.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

struct ReadTerms {
  Ticket ticket = 0;
  std::string key;  // canonical
  KeyHash hash;
  Rows recent;             // what this coordinator answered lately
  std::size_t wanted = 1;  // R, capped by the members
  Conflict conflict = Conflict::newest;
  bool is_strict = false;
  bool asks_usage = false;  // of the key's namespace, too
  Instant began;
  Instant deadline;
};

// What these rows are to a client now.
ReadAnswer answer_of(const Rows& rows, WallMs wall_ms, const ReadTerms& terms, const DataKey& data_key);

// Where this node is the only replica, and its rows are whole: nobody is asked, nothing is compared or repaired. Absent
// where that is not so; then it takes a Read.
std::optional<Completion> read_alone(Turn& turn, const ReadTerms& terms, const ReplicaSet& set,
                                     const DataKey& data_key);

class Read {
 public:
  explicit Read(ReadTerms terms) : terms_(std::move(terms)) {}

  void start(Turn& turn, const ReplicaSet& set, const DataKey& data_key);

  // `rows` are the verified records of a reply in the record form; empty in the digest form.
  void on_answer(Turn& turn, std::size_t slot, const FetchAnswer& answer, const Rows& rows);
  void on_silence(Turn& turn, std::size_t slot);
  // A replica's records were refused: they are ahead of this node's clock.
  void on_clock_behind() { is_clock_behind_ = true; }
  // A reply said how many bytes the key's namespace holds, about.
  void on_usage(std::uint64_t bytes) { usage_ = std::max(usage_, bytes); }
  // The most that was said; 0: nobody did.
  std::uint64_t usage() const { return usage_; }
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const;

  // Empty until the client can be answered; then once. Repairs what was found stale, in the same call.
  std::optional<Completion> take_completion(Turn& turn);
  const KeyHash& key_hash() const { return terms_.hash; }
  // The key was forgotten meanwhile: what was read of it is answered, but neither repaired nor remembered.
  void forget() { is_forgotten_ = true; }
  bool is_forgotten() const { return is_forgotten_; }
  const Rows& merged() const { return merged_; }
  std::size_t repairs() const { return repairs_; }
  // The repair replaced damaged rows of this node; one may have been what it wrote: a new run must begin.
  bool has_replaced_damage() const { return has_replaced_damage_; }

 private:
  enum class State : std::uint8_t { idle, waiting, replied, failed };
  struct Target {
    NodeId node;
    State state = State::idle;
    bool is_stand_in = false;
    bool was_asked_for_records = false;
    bool has_records = false;  // its records are merged, not only its digest known
    FetchStatus status = FetchStatus::absent;
    RowsDigest digest{};
    std::uint64_t request = 0;
  };

  void choose_targets(Turn& turn, const ReplicaSet& set);
  void sort_by_distance(const Turn& turn);
  void read_own_rows(Turn& turn, Target& target);
  void ask_next(Turn& turn);
  void ask(Turn& turn, std::size_t slot, FetchForm form);
  void go_on(Turn& turn);
  void fetch_differing(Turn& turn);
  void ask_another(Turn& turn);
  void ask_wider(Turn& turn);
  void widen(Turn& turn);
  std::size_t count(State state) const;
  std::size_t proper_replies() const;
  bool digests_agree() const;
  bool is_complete() const;
  void repair(Turn& turn);
  void repair_replica(Turn& turn, const NodeId& node);
  void repair_own_rows(Turn& turn, const Rows& merged);
  Completion answer(Turn& turn);

  ReadTerms terms_;
  DataKey data_key_{};
  std::vector<Target> targets_;
  std::vector<NodeId> wider_;
  Rows merged_;
  std::size_t asked_at_once_ = 1;
  std::size_t repairs_ = 0;
  std::uint64_t usage_ = 0;
  Instant hedge_at_;
  Instant patience_;
  bool patience_spent_ = false;
  bool records_asked_ = false;
  bool is_settled_ = true;
  bool own_rows_committed_ = true;
  bool deadline_passed_ = false;
  bool answered_ = false;
  bool has_replaced_damage_ = false;
  bool is_forgotten_ = false;
  bool is_clock_behind_ = false;
  bool disk_failed_ = false;  // this node's own, at its own rows
};

}  // namespace kith::dht
