// SPDX-License-Identifier: MIT
// What a member says when it is asked whether records may be reaped, and what it does when they are (reaping.h).
//
//   ask ───► clear: nothing stands against it here ───► commit ───► what is still exactly that is gone
//     └────► blocked                            retire ──► rows of this node as their author, superseded by the records
//
// Hostile callers: nothing goes that is not finished by this node's own clock, that it did not declare clear to the
// same caller a short time before, or whose rows are not exactly those that were named.
#pragma once

#include <map>
#include <vector>

#include "dht/model/deadlines.h"
#include "dht/model/signatures.h"
#include "dht/repair/reap_marks.h"
#include "dht/repair/repair.h"
#include "dht/repair/standings.h"

namespace kith::dht {

class ReapWitness {
 public:
  // Both outlive this object. `grace`: how long tombstones, and entries that have expired, are kept at least.
  ReapWitness(Repair& repair, const Signatures& signatures, const DataKey& data_key, Duration grace);

  void start(Instant now, RecordStore& store);

  // Something may have to be reaped there one day: from now on it is known since when the replicas are those they are.
  void observe(Turn& turn, Partition partition) { standings_.has_stood(turn, partition, grace_ms_); }

  struct Answer {
    ReapReply reply;
    // Keys by their beginning: what this node remembers of them from reads is to be forgotten.
    std::vector<std::uint64_t> forgotten;
  };
  Answer answer(Turn& turn, const NodeId& from, const Reap& reap);

  // Somebody is here who was not asked.
  void withdraw_promises() { promises_.clear(); }

  ReapedReply marks(const Reaped& asked) const { return marks_.page(asked); }
  // From time to time: marks go that nobody needs any more.
  void look_after_marks(const Turn& turn);
  std::uint64_t keys_reaped() const { return keys_reaped_; }
  WallMs grace_ms() const { return grace_ms_; }

 private:
  // Given to who asks; it holds for a short time.
  struct Promise {
    NodeId to;
    Instant until{};
    std::map<KeyHash, RowsDigest> own;  // of keys that are kept here as their author only, once they are superseded
  };

  void end_promises(Instant now);
  ReapVerdict ask(Turn& turn, const NodeId& from, const ReapPartition& partition, Answer& answer);
  bool has_room_for_marks(const Turn& turn, std::size_t keys) const;
  static bool is_clear_elsewhere(Turn& turn, const ReapPartition& partition);
  bool is_clear_at_replica(Turn& turn, const NodeId& from, const ReapPartition& partition);
  ReapVerdict retire(Turn& turn, const NodeId& from, const KeyHash& key, const Rows& reaped);
  ReapVerdict commit(Turn& turn, const NodeId& from, const ReapPartition& partition);
  void reap_key(Turn& turn, const KeyHash& key, const RowsDigest& expected);
  bool may_be_reaped(const Turn& turn, const KeyRows& held, const RowsDigest& expected) const;
  void forget_own(Turn& turn, const Promise& promise);
  std::map<KeyHash, Rows> verified(const Turn& turn, const std::vector<crypto::Bytes>& records) const;

  Repair& repair_;
  const Signatures& signatures_;
  DataKey data_key_;
  WallMs grace_ms_;
  Standings standings_;
  ReapMarks marks_;
  std::map<Partition, Promise> promises_;
  Deadlines<Partition> promise_ends_;
  std::uint64_t keys_reaped_ = 0;
};

}  // namespace kith::dht
