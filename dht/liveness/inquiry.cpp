// SPDX-License-Identifier: MIT
#include "dht/liveness/inquiry.h"

#include <algorithm>
#include <utility>

namespace kith::dht {

Inquiry::Inquiry(Instant now, Instant silent_since, std::span<const NodeId> witnesses)
    : silent_since_(silent_since), deadline_(now) {
  for (const NodeId& node : witnesses) witnesses_.push_back({.node = node});
}

std::vector<NodeId> Inquiry::on_deadline(Instant now, const Times& times) {
  std::vector<NodeId> to_ask;
  if (asked_ <= times.retries) {
    for (const Witness& witness : witnesses_) {
      if (witness.answer != Answer::settled) to_ask.push_back(witness.node);
    }
  }
  if (to_ask.empty()) {
    deadline_.reset();
    return to_ask;
  }
  asked_ += 1;
  deadline_ = now + times.timeout;
  return to_ask;
}

void Inquiry::heard(const NodeId& node) {
  Witness* witness = find(node);
  if (witness != nullptr && witness->answer == Answer::none) witness->answer = Answer::lives;
}

void Inquiry::accuses(const NodeId& node) {
  if (Witness* witness = find(node)) witness->answer = Answer::settled;
}

Inquiry::Word Inquiry::hears(const NodeId& node, Instant heard_at) {
  Witness* witness = find(node);
  if (witness == nullptr || heard_at < silent_since_) return Word::nothing_new;
  witness->answer = Answer::settled;
  return std::exchange(is_contradicted_, true) ? Word::nothing_new : Word::contradicts;
}

bool Inquiry::is_unresponsive(const NodeId& node) const {
  if (!is_over()) return false;
  return std::ranges::any_of(
      witnesses_, [&](const Witness& witness) { return witness.node == node && witness.answer == Answer::none; });
}

Inquiry::Witness* Inquiry::find(const NodeId& node) {
  const auto found = std::ranges::find(witnesses_, node, &Witness::node);
  return found == witnesses_.end() ? nullptr : &*found;
}

}  // namespace kith::dht
