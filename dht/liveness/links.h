// SPDX-License-Identifier: MIT
// The links of this node: one to each neighbour in the watch graph, and a few short ones to members that somebody
// else spoke of. All timers that grow with the mesh are here, so there are about K of them whatever its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "crypto/rng.h"
#include "dht/liveness/link.h"
#include "dht/model/id.h"
#include "dht/model/time.h"

namespace kith::dht {

class Links {
 public:
  // Why a member is watched: as our neighbour; because a watcher asked us; because we were told that it is dead. The
  // latter two end with the first packet or with silence.
  enum class Reason : std::uint8_t { neighbour, asked, said_dead };
  struct Watched {
    Link link;
    Reason reason;
  };

  Links(const NodeId& self, Duration period) : self_(self), period_(period) {}

  // Makes links to exactly these neighbours. New ones are pinged at a random time within a period, so that a mesh
  // that starts as one does not ping as one.
  void rewire(Instant now, std::span<const NodeId> neighbours, crypto::Rng& rng);

  // Tries this member at once. Where it is no neighbour a short link is made, up to limits::links_extra_max.
  void look(Instant now, const NodeId& node, Reason reason);

  // What kind of packet was heard. News goes to several neighbours at once: if it put off their next pings, all
  // watchers of a node would fall into step, and after a crash they would look for it at one and the same late moment.
  enum class Packet : std::uint8_t { news, other };
  void heard(Instant now, const NodeId& node, Packet packet, crypto::Rng& rng);
  void drop(const NodeId& node) { watched_.erase(node); }
  void start_over(Instant now);

  Watched* find(const NodeId& node);
  const Watched* find(const NodeId& node) const;
  const std::map<NodeId, Watched>& all() const { return watched_; }
  std::vector<NodeId> due(Instant now) const;
  std::optional<Instant> next_deadline() const;

 private:
  Duration next_period(const NodeId& other, crypto::Rng& rng) const;

  NodeId self_;
  Duration period_;
  std::map<NodeId, Watched> watched_;
};

}  // namespace kith::dht
