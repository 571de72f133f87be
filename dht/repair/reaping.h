// SPDX-License-Identifier: MIT
// Reaping: tombstones, and entries that have expired, are forgotten when nobody needs them any more to keep older
// values from coming back (docs/protocol.md, "Reaping"). The first replica of a partition leads.
//
//   resting ──due──► asking everybody ──all clear──► retiring ──authors agree──► clean ── … a message's life … ─┐
//      ▲                  │ blocked, or silence                    │                                            │
//      └──────────────────┴────────────────────────────────────────┘      asked again, still clean ◄────────────┘
//                                                                                  └──► commit to all
//
// Everybody: a copy that one member alone still has would bring the value back. Twice: what was on its way at the first
// time has arrived, or never will.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "crypto/rng.h"
#include "dht/repair/reap_witness.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Reaping {
 public:
  // `witness` and `repair` outlive this object.
  Reaping(ReapWitness& witness, Repair& repair, const DataKey& data_key, crypto::Rng rng);

  void start(Instant now);

  // Requires of both: `owner` is of kind reaping.
  void on_reply(Turn& turn, const NodeId& from, const Body& reply, const RequestOwner& owner);
  void on_silence(Turn& turn, const RequestOwner& owner);

  // Somebody is here who was not asked: what is under way cannot be agreed upon.
  void on_member_back();

  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const { return batch_ ? std::nullopt : next_; }

  // Keys by their beginning that this node asked about since the last call: as ReapWitness::Answer::forgotten.
  std::set<std::uint64_t> take_forgotten() { return std::exchange(forgotten_, {}); }

  // How long a message may be under way, and the least time between two rounds.
  static Duration message_life(Duration grace);
  static Duration round_interval(Duration grace);

 private:
  struct Batch {
    ReapStep step = ReapStep::ask;
    std::vector<ReapPartition> partitions;
    std::set<std::uint16_t> blocked;
    std::set<std::uint64_t> too_large;  // keys whose authors cannot be given all of it in one message: they stay
    bool is_last = false;               // of this round
    std::set<NodeId> waiting;           // for their answers
    std::map<NodeId, std::set<std::uint64_t>> authors;  // who keeps rows of which keys
    std::map<std::uint64_t, std::uint16_t> partition_of_key;
  };

  // Everybody was clear about these keys of a partition, in the round before or this one.
  struct Clean {
    std::uint64_t round = 0;
    std::vector<ReapKey> keys;
  };

  void gather(Turn& turn);
  std::optional<ReapPartition> look_at(Turn& turn, Partition partition);
  void ask_everybody(Turn& turn);
  void ask(Turn& turn, const NodeId& node, Reap reap);
  void take_verdicts(const NodeId& from, const ReapReply& reply);
  void block_all();
  void block_keys_of(const NodeId& author);
  void go_on(Turn& turn);
  void retire(Turn& turn);
  bool append_records(RecordStore& store, std::uint64_t key, std::vector<crypto::Bytes>& records);
  void finish(Turn& turn);
  void commit(Turn& turn, std::vector<ReapPartition> partitions);
  void conclude(const Turn& turn);
  std::vector<ReapKey> named_twice(const ReapPartition& partition);
  void end_round(const Turn& turn);

  ReapWitness& witness_;
  Repair& repair_;
  DataKey data_key_;
  crypto::Rng rng_;
  Duration grace_;
  std::optional<Instant> next_;
  Partition cursor_ = 0;
  std::uint64_t number_ = 0;
  std::optional<Batch> batch_;
  std::uint64_t round_ = 0;
  std::map<std::uint16_t, Clean> clean_;
  std::set<std::uint64_t> forgotten_;
  bool may_ask_ = false;  // everybody is there, and this node knows what it holds
  bool is_soon_ = false;  // a partition was found clean in this round: it is asked about again before the next is due
};

}  // namespace kith::dht
