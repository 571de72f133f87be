// SPDX-License-Identifier: MIT
// A view: the positions of all members this node knows, in order. Placement and routing read the same view, so
// what a node stores and where it sends agree (Dynamo §4.2; Kademlia §2.1 for the metric).
//
// A view is large (a thousand members are 16,000 positions) and there is one in every node, so a position is kept as
// the first 8 bytes of its hash. Distances are compared on those; two positions that agree in all of them, which
// takes 2^64 keys to arrange and gains nothing, are ordered by node id.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dht/model/contact.h"
#include "dht/model/id.h"

namespace kith::dht {

// Where members stand, decided when the mesh is made. In a wide mesh nobody knows everybody, and only what is close
// in id can be found by asking ever closer nodes; so there a node has one position, its id, whatever its weight.
enum class Profile : std::uint8_t { lan, wide };

// Virtual nodes per unit of capacity weight in a lan mesh.
inline constexpr std::uint32_t positions_per_weight = 16;

// From the closest of a node's positions to the point.
Id closest_distance(const Contact& contact, const Position& point, Profile profile);

class View {
 public:
  explicit View(Profile profile = Profile::lan) : profile_(profile) {}

  Profile profile() const { return profile_; }

  // Adds a member with all its positions, or replaces it where weight or zone changed. Cheap: positions are computed
  // and put in order when closest() is next asked, so a view that nobody asks costs next to nothing. A member of weight
  // 0 is leaving: it has no positions, and is none of the view.
  void add(const Contact& contact);

  // Ignored for a node that is no member.
  void remove(const NodeId& node);

  std::size_t size() const { return by_id_.size(); }
  bool contains(const NodeId& node) const;

  // Empty where the node names none, or is no member. Valid until the next change.
  std::string_view zone_of(const NodeId& node) const;

  // Rises with every change: a cache made from the view is valid while this stands still.
  std::uint64_t version() const { return version_; }

  // The first `count` distinct nodes by XOR distance of their positions to `point`, closest first; all of them where
  // there are fewer. Equal views give equal answers, however they came to be.
  std::vector<NodeId> closest(const Position& point, std::size_t count) const;

 private:
  using Slot = std::uint32_t;
  using Place = std::uint64_t;  // the first 8 bytes of a position, as a big-endian integer

  struct Member {
    NodeId id;
    std::string zone;
    std::uint8_t weight = 0;
    enum class State : std::uint8_t { absent, arriving, placed } state = State::absent;
  };
  struct Arrival {
    Slot slot;
    crypto::PublicKey signing_key;
  };
  // Twelve bytes, not sixteen: there are millions of these in a simulation.
  struct Entry {
    std::array<std::uint32_t, 2> place_halves;
    Slot slot;
    Place place() const { return Place{place_halves[0]} << 32 | place_halves[1]; }
  };
  struct Walk;

  std::vector<Slot>::const_iterator lower_bound(const NodeId& node) const;
  const Member* find(const NodeId& node) const;
  Slot free_slot();
  void drop(std::vector<Slot>::const_iterator at);
  void settle() const;
  void clear_places_of_left() const;
  void place(const Arrival& arrival) const;
  void add_entry(const Position& position, Slot slot) const;
  bool precedes(const Entry& a, const Entry& b) const;
  void visit(std::span<const Entry> range, int bit, Walk& walk) const;

  Profile profile_;
  std::vector<Slot> by_id_;  // slots of members, in order of id
  std::uint64_t version_ = 0;

  // Brought up to date behind const by settle(). Until then an arrival has no entries yet, and one that left has its
  // entries and its slot still.
  mutable std::vector<Member> members_;  // by slot
  mutable std::vector<Entry> entries_;   // in order of place
  mutable std::vector<Arrival> arrived_;
  mutable std::vector<Slot> left_;
  mutable std::vector<Slot> free_;
};

}  // namespace kith::dht
