// SPDX-License-Identifier: MIT
// What is held against one member, at one incarnation.
//
//                  accusation           more than half of the jury
//   (no suspicion) ─────────► accused ─────────────────────────────► the mesh's suspect ──dead_after──► dead
//        ▲                       │                                          │
//        └── accusations expire ─┴── a packet from the member, or a newer incarnation ──┘
//
// The jury: the member's watchers by our view, and whoever else accused it (its view of the watch graph may differ from
// ours), without those in doubt themselves. So one node decides nothing unless it is the only one left to ask.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "dht/model/contact.h"
#include "dht/model/id.h"
#include "dht/model/time.h"

namespace kith::dht {

class Suspicion {
 public:
  Suspicion(Incarnation incarnation, std::vector<NodeId> watchers)
      : incarnation_(incarnation), watchers_(std::move(watchers)) {}

  // How far an accusation travels. watchers: between the watchers of the accused, soft, renewed by the accuser while
  // it hears nothing. mesh: a majority stood behind it somewhere, and everybody is told.
  enum class Reach : std::uint8_t { watchers, mesh };
  // first_hand: from the accuser itself, so it is news even after we heard the member. hearsay may be an echo.
  enum class Report : std::uint8_t { first_hand, hearsay };
  struct Voice {
    NodeId accuser;
    Instant expires{};
    Reach reach = Reach::watchers;
  };

  // Returns whether this adds a voice, or makes one public. At most limits::accusers_per_member are kept.
  bool accuse(const Voice& voice, Report report);

  // The member was heard by this node: every voice so far was wrong, as far as we are concerned.
  void contradict();

  // More than half of the jury accuses it. `is_in_doubt` tells which jurors do not count.
  bool is_majority(const std::function<bool(const NodeId&)>& is_in_doubt) const;

  // Two voices told to the whole mesh: enough for those who are no watchers of the member and can ask nobody.
  bool has_public_voices() const;

  // It is the mesh's suspicion from now on, and no voice expires any more.
  void confirm(Instant now) { confirmed_at_ = now; }
  std::optional<Instant> confirmed_at() const { return confirmed_at_; }

  // We slept: the member gets the time back in which we could not have heard it.
  void forgive(Duration slept);

  void expire(Instant now);
  bool is_empty() const { return voices_.empty(); }

  // When expire() changes something next; empty once confirmed.
  std::optional<Instant> next_expiry() const;

  // Whose voices count, in order of arrival.
  std::vector<NodeId> accusers() const;
  std::size_t accuser_count() const;
  bool counts(const NodeId& accuser) const;
  const std::vector<NodeId>& watchers() const { return watchers_; }
  Incarnation incarnation() const { return incarnation_; }

 private:
  struct Heard {
    Voice voice;
    bool counts = true;  // false: we heard the member since
  };

  Incarnation incarnation_;
  std::vector<NodeId> watchers_;
  std::vector<Heard> voices_;
  std::optional<Instant> confirmed_at_;
};

}  // namespace kith::dht
