// SPDX-License-Identifier: MIT
// The routing table: the contacts this node keeps (overlay design, "Routing"; Kademlia §2.2, §4.2).
//
// The id space is cut into 2^s slices by the first s bits of a node id. A node keeps every contact of its own slice
// and the k = 8 of lowest round trip of every other. Here s = 0: one slice, the full view, and a lookup ends in one
// hop. A larger s changes only which contacts add() keeps (Admission::full then also means a full slice, whose
// newcomer waits behind it) and which a change of s lets go. closest(), view() and lookup.h stay as they are: the
// view holds the positions of the contacts kept, and a lookup asks whoever of them is closest.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "dht/model/contact.h"
#include "dht/model/view.h"

namespace kith::dht {

class Table {
 public:
  explicit Table(Contact self, Profile profile = Profile::lan);

  enum class Admission : std::uint8_t {
    added,
    updated,  // known before with a lower incarnation
    known,    // nothing new: not newer than what is kept, or this node itself
    full,     // not kept: the table holds limits::members_max
  };

  // Requires: the contact's signature was checked (read_contact does).
  Admission add(const Contact& contact);

  // Ignored for an unknown node and for this node, which is always in its table.
  void remove(const NodeId& node);

  // This node included. Valid until that contact changes or goes.
  const Contact* find(const NodeId& node) const;
  const Contact& self() const { return *find(self_); }

  // Requires: the same node.
  void replace_self(Contact self);

  // Closest contacts to a point by their positions, this node included where it is one of them. This answers Find.
  std::vector<const Contact*> closest(const Position& point, std::size_t count) const;

  const View& view() const { return view_; }
  std::size_t size() const { return contacts_.size(); }  // this node included
  std::vector<NodeId> ids() const;                       // in order, this node included

 private:
  void keep(Contact contact);

  NodeId self_;
  std::map<NodeId, Contact> contacts_;  // an ordered map: pages of members follow the ids
  View view_;
};

}  // namespace kith::dht
