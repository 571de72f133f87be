// SPDX-License-Identifier: MIT
// Which announcements are worth a handshake. Anybody on the link can send what was recorded from a member, as often as
// he likes: so few are looked at in a second, each node is tried rarely, and few nodes are remembered.
#pragma once

#include <unordered_map>

#include "dht/model/id.h"
#include "dht/model/time.h"

namespace kith::daemon {

class Candidates {
 public:
  static constexpr std::size_t candidates_max = 32;
  static constexpr dht::Duration retry_after = std::chrono::seconds(30);
  static constexpr int looks_per_second = 100;

  // False: this packet should be dropped unread.
  bool may_look(dht::Instant now);

  // True when the node should be tried now; asks for the same one again only after retry_after.
  bool should_try(dht::Instant now, const dht::NodeId& node);

 private:
  dht::Instant second_began_{};
  int looks_ = 0;
  std::unordered_map<dht::NodeId, dht::Instant> tried_;
};

}  // namespace kith::daemon
