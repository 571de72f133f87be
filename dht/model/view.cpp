// SPDX-License-Identifier: MIT
#include "dht/model/view.h"

#include <algorithm>

namespace kith::dht {

Id closest_distance(const Contact& contact, const Position& point, Profile profile) {
  if (profile == Profile::wide) return distance(contact.id, point);
  Id closest;
  closest.bytes.fill(0xff);
  for (std::uint32_t i = 0; i < positions_per_weight * contact.weight; ++i) {
    closest = std::min(closest, distance(virtual_position(contact.signing_key, i), point));
  }
  return closest;
}

// One walk outwards from a point: every position in order of distance until enough nodes are found.
struct View::Walk {
  Place point;
  std::size_t wanted;
  std::vector<bool> is_met;  // by slot
  std::vector<Slot> met;

  bool is_done() const { return met.size() == wanted; }
  void meet(Slot slot) {
    if (is_met[slot]) return;
    is_met[slot] = true;
    met.push_back(slot);
  }
};

void View::add(const Contact& contact) {
  const auto at = lower_bound(contact.id);
  if (at != by_id_.end() && members_[*at].id == contact.id) {
    const Member& member = members_[*at];
    if (member.weight == contact.weight && member.zone == contact.zone) return;
    drop_member(at);
  }
  const Slot slot = free_slot();
  by_id_.insert(lower_bound(contact.id), slot);
  place_member(contact, slot);
  ++version_;
}

void View::remove(const NodeId& node) {
  const auto at = lower_bound(node);
  if (at == by_id_.end() || members_[*at].id != node) return;
  drop_member(at);
  ++version_;
}

bool View::contains(const NodeId& node) const { return find(node) != nullptr; }

std::string_view View::zone_of(const NodeId& node) const {
  const Member* member = find(node);
  return member ? std::string_view(member->zone) : std::string_view();
}

std::vector<NodeId> View::closest(const Position& point, std::size_t count) const {
  settle();
  Walk walk{crypto::load_be64(point.bytes.data()), std::min(count, size()), std::vector<bool>(members_.size()), {}};
  walk.met.reserve(walk.wanted);
  visit(entries_, 63, walk);
  std::vector<NodeId> nodes;
  nodes.reserve(walk.met.size());
  for (const Slot slot : walk.met) nodes.push_back(members_[slot].id);
  return nodes;
}

std::vector<View::Slot>::const_iterator View::lower_bound(const NodeId& node) const {
  return std::lower_bound(by_id_.begin(), by_id_.end(), node,
                          [this](Slot slot, const NodeId& id) { return members_[slot].id < id; });
}

const View::Member* View::find(const NodeId& node) const {
  const auto at = lower_bound(node);
  return at != by_id_.end() && members_[*at].id == node ? &members_[*at] : nullptr;
}

View::Slot View::free_slot() {
  if (free_.empty()) {
    members_.emplace_back();
    return static_cast<Slot>(members_.size() - 1);
  }
  const Slot slot = free_.back();
  free_.pop_back();
  return slot;
}

void View::place_member(const Contact& contact, Slot slot) {
  members_[slot] = {.id = contact.id, .zone = contact.zone, .weight = contact.weight, .is_present = true};
  if (profile_ == Profile::wide) return place(contact.id, slot);
  for (std::uint32_t i = 0; i < positions_per_weight * contact.weight; ++i) {
    place(virtual_position(contact.signing_key, i), slot);
  }
}

void View::place(const Position& position, Slot slot) {
  entries_.push_back({{crypto::load_be32(position.bytes.data()), crypto::load_be32(position.bytes.data() + 4)}, slot});
}

// The slot is free again only when settle() has removed its entries.
void View::drop_member(std::vector<Slot>::const_iterator at) {
  members_[*at].is_present = false;
  left_.push_back(*at);
  by_id_.erase(at);
}

bool View::precedes(const Entry& a, const Entry& b) const {
  if (a.place() != b.place()) return a.place() < b.place();
  return members_[a.slot].id < members_[b.slot].id;
}

void View::settle() const {
  if (settled_ == entries_.size() && left_.empty()) return;
  const auto before = [this](const Entry& a, const Entry& b) { return precedes(a, b); };
  const auto tail = entries_.begin() + static_cast<std::ptrdiff_t>(settled_);
  std::sort(tail, entries_.end(), before);
  std::inplace_merge(entries_.begin(), tail, entries_.end(), before);
  if (!left_.empty()) std::erase_if(entries_, [this](const Entry& entry) { return !members_[entry.slot].is_present; });
  free_.insert(free_.end(), left_.begin(), left_.end());
  left_.clear();
  settled_ = entries_.size();
}

// The entries of `range` agree in all bits above `bit`. Of the halves that `bit` makes of them, everything in the
// point's own half is closer than anything in the other.
void View::visit(std::span<const Entry> range, int bit, Walk& walk) const {
  if (range.empty() || walk.is_done()) return;
  if (range.size() == 1) return walk.meet(range.front().slot);
  if (bit < 0) {
    for (const Entry& entry : range) {
      if (!walk.is_done()) walk.meet(entry.slot);
    }
    return;
  }
  const Place mask = Place{1} << bit;
  const auto middle =
      std::partition_point(range.begin(), range.end(), [mask](const Entry& e) { return (e.place() & mask) == 0; });
  const auto zeros = range.first(static_cast<std::size_t>(middle - range.begin()));
  const auto ones = range.subspan(zeros.size());
  const bool ones_first = (walk.point & mask) != 0;
  visit(ones_first ? ones : zeros, bit - 1, walk);
  visit(ones_first ? zeros : ones, bit - 1, walk);
}

}  // namespace kith::dht
