// SPDX-License-Identifier: MIT
// Fetches of one key each that leave in the same turn for the same node travel as one message, and its answer is taken
// apart again. Whoever asks knows nothing of it: each has a request of its own, which is repeated where the bundle was
// lost, and falls silent alone. One that also asks how much its namespace holds travels by itself.
//
//   fetch a (7) ─┐                                                      ┌─► answer to 7
//   fetch b (8) ─┼─ pack ──► fetch a b c (90) ··· answer (90) ── take ──┼─► answer to 8
//   fetch c (9) ─┘                                                      └─► answer to 9
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/outputs.h"

namespace kith::dht {

struct Bundle {
  NodeId to;
  Instant left{};
  FetchForm form = FetchForm::records;
  std::vector<std::uint64_t> requests;  // in the order of the keys
};

// What an answer to a bundle says to one of its requests.
struct BundledAnswer {
  std::uint64_t request = 0;
  Body body;
  // There is something, and it found no room beside the others: it is to be asked for again.
  bool was_left_out = false;
};

// There is something of the key, or may be, and it found no room beside the others.
bool is_left_out(FetchForm form, const FetchAnswer& answer);

// One for each request. A body that is no answer to the bundle goes to all as none.
std::vector<BundledAnswer> take_apart(const Bundle& bundle, const Body& body);

class Bundles {
 public:
  explicit Bundles(crypto::Rng rng) : rng_(std::move(rng)) {}

  // Bundles what can be of out.sends from `first_send` on.
  void pack(Instant now, const NodeId& self, std::size_t first_send, Outputs& out);

  // The bundle that this node was asked in; once. Empty where there is none.
  std::optional<Bundle> take(const NodeId& from, std::uint64_t request_id);

 private:
  void put_together(Instant now, const std::vector<std::size_t>& members, Outputs& out);
  std::uint64_t remember(Bundle bundle);

  crypto::Rng rng_;
  std::unordered_map<std::uint64_t, Bundle> waiting_;
  std::deque<std::uint64_t> order_;  // as they left; of one that is forgotten the requests are repeated
};

}  // namespace kith::dht
