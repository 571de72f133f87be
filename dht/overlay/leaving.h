// SPDX-License-Identifier: MIT
// Leaving for good, as opposed to going away (docs/protocol.md, "Leaving").
//
//   member ──begin──► leaving ──nothing left to hand over, and everybody had time to hear of it──► left
//     ▲                  │
//     └─────cancel───────┘
//
// Who is leaving has weight 0: nothing is placed on it any more, and the sweep of handoff.h brings what it holds to
// those that it belongs to now.
#pragma once

#include <optional>

#include "dht/model/time.h"

namespace kith::dht {

class Leaving {
 public:
  enum class Stage : std::uint8_t { member, leaving, left };

  Stage stage() const { return stage_; }
  bool is_leaving() const { return stage_ == Stage::leaving; }

  void begin(Instant now) {
    stage_ = Stage::leaving;
    told_at_ = now + time_to_hear;
    empty_since_.reset();
    look_at_ = now + look_interval;
  }
  void cancel() {
    stage_ = Stage::member;
    look_at_.reset();
  }
  void finish() {
    stage_ = Stage::left;
    look_at_.reset();
  }

  // Nothing is left, or something is; a write of this node is under way. Not before all had time to hear of it, for
  // whoever has not writes here, and counts the copy; nor before what was noted a moment ago has reached the disk, and
  // is counted. Writes that go on for ever are not waited for.
  void note_rest(Instant now, bool is_nothing_left) {
    if (!is_nothing_left) empty_since_.reset();
    if (is_nothing_left && !empty_since_) empty_since_ = now;
  }
  bool may_finish(Instant now, bool is_writing) const {
    return empty_since_ && told_at_ <= now && (!is_writing || *empty_since_ + time_to_write <= now);
  }

  // At the deadline: whether it is done is to be looked at. The caller does, and then begins, finishes or is called
  // again.
  bool take_look(Instant now) {
    if (!look_at_ || *look_at_ > now) return false;
    look_at_ = now + look_interval;
    return true;
  }
  std::optional<Instant> next_deadline() const { return look_at_; }

 private:
  static constexpr Duration time_to_hear = std::chrono::seconds(10);
  static constexpr Duration time_to_write = std::chrono::seconds(60);
  static constexpr Duration look_interval = std::chrono::milliseconds(250);

  Stage stage_ = Stage::member;
  Instant told_at_{};
  std::optional<Instant> look_at_;
  std::optional<Instant> empty_since_;
};

}  // namespace kith::dht
