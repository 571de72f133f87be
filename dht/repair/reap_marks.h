// SPDX-License-Identifier: MIT
// Which keys were reaped while somebody was away who could not be asked, up to which seq, and when; as far as this node
// took part. It is what a device is told that comes back after longer than the grace (returning.h). Where everybody
// took part nothing is kept.
#pragma once

#include <map>
#include <optional>

#include "dht/model/message.h"
#include "dht/model/record_store.h"

namespace kith::dht {

class ReapMarks {
 public:
  void start(Instant now, RecordStore& store);

  // Only up to limits::reap_marks_max are kept.
  bool has_room(std::size_t marks) const;
  // Requires: there is room. What is known of a key never falls.
  void raise(Instant now, const ReapedMark& mark, RecordStore& store);

  ReapedReply page(const Reaped& asked) const;

  // A mark is of use while somebody is away that was when it was made: `away_since_ms` says since when the one has been
  // that has been for longest, and is empty where nobody is. It goes when it was of no use for `keep`: who came back
  // had that time to ask.
  void let_go(Now now, std::optional<WallMs> away_since_ms, Duration keep, RecordStore& store);

 private:
  struct Kept {
    Seq seq = 0;
    WallMs at_ms = 0;
    Instant was_of_use{};
  };

  std::map<KeyHash, Kept> marks_;
};

}  // namespace kith::dht
