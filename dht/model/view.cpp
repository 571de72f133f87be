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
  if (contact.weight == 0) return remove(contact.id);
  const auto at = lower_bound(contact.id);
  if (at != by_id_.end() && members_[*at].id == contact.id) {
    const Member& member = members_[*at];
    if (member.weight == contact.weight && member.zone == contact.zone) return;
    drop(at);
  }
  const Slot slot = free_slot();
  members_[slot] = {contact.id, contact.zone, contact.weight, Member::State::arriving};
  arrived_.push_back({slot, contact.signing_key});
  by_id_.insert(lower_bound(contact.id), slot);
  ++version_;
}

void View::remove(const NodeId& node) {
  const auto at = lower_bound(node);
  if (at == by_id_.end() || members_[*at].id != node) return;
  drop(at);
  ++version_;
}

bool View::contains(const NodeId& node) const { return find(node) != nullptr; }

std::string_view View::zone_of(const NodeId& node) const {
  const Member* member = find(node);
  if (!member) return {};
  return member->zone;
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

// Whoever comes and goes between two questions leaves no trace, so that coming and going cannot fill anything.
void View::drop(std::vector<Slot>::const_iterator at) {
  const Slot slot = *at;
  by_id_.erase(at);
  const bool has_entries = members_[slot].state == Member::State::placed;
  members_[slot].state = Member::State::absent;
  if (!has_entries) std::erase_if(arrived_, [slot](const Arrival& arrival) { return arrival.slot == slot; });
  (has_entries ? left_ : free_).push_back(slot);
}

void View::settle() const {
  if (!left_.empty()) clear_places_of_left();
  if (arrived_.empty()) return;
  const auto settled = static_cast<std::ptrdiff_t>(entries_.size());
  for (const Arrival& arrival : arrived_) place(arrival);
  arrived_ = {};
  const auto before = [this](const Entry& a, const Entry& b) { return precedes(a, b); };
  std::sort(entries_.begin() + settled, entries_.end(), before);
  std::inplace_merge(entries_.begin(), entries_.begin() + settled, entries_.end(), before);
}

void View::clear_places_of_left() const {
  std::erase_if(entries_, [this](const Entry& entry) { return members_[entry.slot].state == Member::State::absent; });
  free_.insert(free_.end(), left_.begin(), left_.end());
  left_.clear();
}

void View::place(const Arrival& arrival) const {
  Member& member = members_[arrival.slot];
  member.state = Member::State::placed;
  if (profile_ == Profile::wide) return add_entry(member.id, arrival.slot);
  for (std::uint32_t i = 0; i < positions_per_weight * member.weight; ++i) {
    add_entry(virtual_position(arrival.signing_key, i), arrival.slot);
  }
}

void View::add_entry(const Position& position, Slot slot) const {
  entries_.push_back({{crypto::load_be32(position.bytes.data()), crypto::load_be32(position.bytes.data() + 4)}, slot});
}

bool View::precedes(const Entry& a, const Entry& b) const {
  if (a.place() != b.place()) return a.place() < b.place();
  return members_[a.slot].id < members_[b.slot].id;
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
