// SPDX-License-Identifier: MIT
// The routing table: the contacts this node keeps (overlay design, "Routing"). With s = 0 slice bits it is the full
// view — every member; the slice form (own slice in full, k = 8 of every other) fits behind the same interface.
#pragma once

#include <optional>
#include <vector>

#include "dht/model/contact.h"
#include "dht/model/limits.h"
#include "dht/model/view.h"

namespace kith::dht {

class Table {
 public:
  explicit Table(Contact self);

  enum class Admission : std::uint8_t { added, updated, known, full };

  // Keeps the contact with the higher incarnation. full: the table holds limits::members_max.
  Admission add(const Contact& contact);
  void remove(const NodeId& node);

  const Contact* find(const NodeId& node) const;  // this node included; valid until the next change
  const Contact& self() const;
  void replace_self(Contact self);

  // Closest contacts to a point by their positions, this node included where it is one of them.
  std::vector<const Contact*> closest(const Position& point, std::size_t count) const;

  const View& view() const;
  std::size_t size() const;  // this node included
  std::vector<NodeId> ids() const;

 private:
  // …
};

}  // namespace kith::dht
