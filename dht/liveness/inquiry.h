// SPDX-License-Identifier: MIT
// Asking the other watchers about a member that fell silent to us. Every one of them is asked until it has heard the
// member itself, or finds it silent too; one that says nothing at all is no witness (SWIM §3.1, turned round: the
// helpers are fixed and keep an opinion of their own).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dht/model/id.h"
#include "dht/model/time.h"

namespace kith::dht {

class Inquiry {
 public:
  struct Times {
    Duration timeout;
    int retries;
  };

  // `silent_since`: what a witness heard before proves nothing.
  Inquiry(Instant now, Instant silent_since, std::span<const NodeId> witnesses);

  // Whom to ask (again) now.
  std::vector<NodeId> on_deadline(Instant now, const Times& times);

  // Empty once everybody was asked in vain or gave an answer.
  std::optional<Instant> next_deadline() const { return deadline_; }

  // Any packet from the witness: it lives, whatever it knows.
  void heard(const NodeId& node);

  // It accuses the member as well, or heard it at that instant: no more to ask, unless what it heard is too old to
  // prove anything. contradicts: it is the first to hear what we do not.
  enum class Word : std::uint8_t { nothing_new, contradicts };
  void accuses(const NodeId& node);
  Word hears(const NodeId& node, Instant heard_at);

  // Asked as often as we ask, and not a word.
  bool is_unresponsive(const NodeId& node) const;

  bool is_over() const { return !deadline_.has_value(); }

 private:
  enum class Answer : std::uint8_t { none, lives, settled };
  struct Witness {
    NodeId node;
    Answer answer = Answer::none;
  };

  Witness* find(const NodeId& node);

  Instant silent_since_;
  std::optional<Instant> deadline_;
  int asked_ = 0;
  bool is_contradicted_ = false;
  std::vector<Witness> witnesses_;
};

}  // namespace kith::dht
