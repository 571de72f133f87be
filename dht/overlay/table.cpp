// SPDX-License-Identifier: MIT
#include "dht/overlay/table.h"

#include <utility>

#include "crypto/assert.h"
#include "dht/model/limits.h"

namespace kith::dht {

Table::Table(Contact self, Profile profile) : self_(self.id), view_(profile) { keep(std::move(self)); }

Table::Admission Table::add(const Contact& contact) {
  if (contact.id == self_) return Admission::known;
  const Contact* kept = find(contact.id);
  if (kept && contact.incarnation <= kept->incarnation) return Admission::known;
  if (!kept && size() >= limits::members_max) return Admission::full;
  keep(contact);
  return kept ? Admission::updated : Admission::added;
}

void Table::remove(const NodeId& node) {
  if (node == self_) return;
  contacts_.erase(node);
  view_.remove(node);
}

const Contact* Table::find(const NodeId& node) const {
  const auto found = contacts_.find(node);
  return found == contacts_.end() ? nullptr : &found->second;
}

void Table::replace_self(Contact self) {
  KITH_ASSERT(self.id == self_);
  keep(std::move(self));
}

std::vector<const Contact*> Table::closest(const Position& point, std::size_t count) const {
  std::vector<const Contact*> found;
  for (const NodeId& node : view_.closest(point, count)) found.push_back(find(node));
  return found;
}

std::vector<NodeId> Table::ids() const {
  std::vector<NodeId> ids;
  ids.reserve(contacts_.size());
  for (const auto& [id, contact] : contacts_) ids.push_back(id);
  return ids;
}

void Table::keep(Contact contact) {
  view_.add(contact);
  contacts_.insert_or_assign(contact.id, std::move(contact));
}

}  // namespace kith::dht
