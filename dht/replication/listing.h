// SPDX-License-Identifier: MIT
// One page of a listing: every usable member is asked for its keys after a hash; the pages are merged up to the
// point that all of them reach, so no key below that point is left out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/replica.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

// What a node says of the keys here: without those of which it has a spare copy alone, for they may have been deleted
// where they belong.
ScanReply without_spares(ScanReply page, Neighbours& neighbours, RecordStore& store);

// A page of what is listed here.
ScanReply own_page(Turn& turn, const Scan& scan, Replica& replica);

struct ListingTerms {
  Ticket ticket = 0;
  Scan scan;
  Instant deadline;
};

class Listing {
 public:
  explicit Listing(ListingTerms terms) : terms_(std::move(terms)) {}

  void start(Turn& turn, const ScanReply& own_page);
  void on_answer(const ScanReply& reply);
  void on_silence() { waiting_ -= 1; }
  std::optional<Instant> next_deadline() const { return terms_.deadline; }

  std::optional<Completion> take_completion(Instant now);
  bool is_finished() const { return answered_; }

 private:
  ListingTerms terms_;
  std::map<KeyHash, std::string> keys_;
  std::optional<KeyHash> horizon_;  // the least hash at which some member's page ended
  int asked_ = 0;
  int replies_ = 0;
  int waiting_ = 0;
  bool answered_ = false;
};

}  // namespace kith::dht
