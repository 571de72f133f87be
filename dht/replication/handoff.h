// SPDX-License-Identifier: MIT
// Handoff: rows kept here of keys that belong elsewhere, because this node stood in for a replica or members came
// between. They go to the N replicas of today, and none is dropped before each of these has confirmed, record by
// record, that it holds it or one that supersedes it (overlay design; Riak calls it ownership handoff).
//
// Where members are commonly away for long and come back, a copy that all have confirmed is not dropped but kept as a
// spare: who took a replica's place once will again, and then only what was written meanwhile moves (Carbonite §3.2,
// Chun et al. 2006). A spare copy is handed over once more after a week or so, and
// then goes.
//
// Where members hardly ever go, spare copies are made: so many replicas of a partition are away that fewer than W are
// left, and the first that is left has the next closest nodes hold copies until they are back (replication design,
// "Dead").
//
//   idle ──members changed, or 10 min──► sweeping: the next keys held that are others'
//                                            │                                      ▲
//   each of the replicas of some is asked:   ▼                                      │
//      a digest of each range of keys ──differs──► of its eighths … of each key ──differs──► those are sent
//                  └── equal ──────────────────────┴── equal ───────────────────── stored ──┴──► confirmed
//                                                                                        │
//        by all N of a key: dropped here, or kept as spare; else left for the next sweep ──┘
//
// Who does not take itself for a replica confirms nothing: it would hand the copy over as well, perhaps to this node.
// The two would let go of it on the strength of each other's word.
#pragma once

#include <optional>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/message.h"
#include "dht/model/outputs.h"
#include "dht/model/token.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Handoff {
 public:
  // `copies_least`: W, below which spare copies are made.
  Handoff(DataKey data_key, std::size_t copies_least, crypto::Rng rng)
      : data_key_(data_key), copies_least_(copies_least), rng_(std::move(rng)) {}

  // What belongs here may be different now, a replica is dead, or a copy was taken for somebody else.
  void on_work(Instant now);
  void on_reply(Turn& turn, const RequestOwner& owner, const Body& reply);
  void on_silence(Turn& turn, const RequestOwner& owner);
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const { return items_.empty() ? next_step_ : std::nullopt; }

  struct Counters {
    std::uint64_t keys_dropped = 0;  // every replica had confirmed
    std::uint64_t keys_kept = 0;     // the same, and they stay as spare copies
    std::uint64_t keys_spared = 0;   // the next closest nodes hold copies
    std::uint64_t records_sent = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  // Who is to confirm the keys of a partition; nobody where all is as it should be.
  struct Task {
    std::vector<NodeId> targets;
    std::optional<NodeId> absent;  // spare copies are to be made, in place of this replica first of all

    bool is_same_as(const Task& other) const;  // in whatever order
  };
  struct Item {
    KeyHash key;
    RowsDigest digest{};  // of the rows that the confirmations are about
    Task task;
    bool was_spare = false;
    bool follows = false;  // no key that is held lies between the item before and this one
    std::size_t confirmations = 0;
  };
  // Items that are asked about by one digest, in order of their keys.
  using Part = std::vector<std::size_t>;
  // Records of one item in a message; they may be the middle or the end of it.
  struct Lot {
    std::size_t item = 0;
    std::size_t records = 0;
    bool is_last = false;
  };
  // What one replica is asked about.
  struct Target {
    NodeId node;
    std::optional<NodeId> absent;          // Task::absent of its items
    std::vector<std::size_t> items{};      // that it is to confirm
    std::vector<Part> parts{};             // that it is asked for now
    std::vector<std::size_t> differing{};  // items of which it holds something else; forgotten where it falls silent
    std::size_t items_sent = 0;            // of them
    std::size_t records_sent = 0;          // of the next one, of which the message before held a part
    bool is_refused = false;               // one of these was
    std::vector<Lot> lots{};               // on the way
    bool is_done = false;
  };

  Task task_for(Turn& turn, Partition partition) const;
  void take_batch(Turn& turn);
  void begin_sweep(Instant now);
  bool take_key(Turn& turn, const KeyHash& key, Task task);
  void begin_batch(Turn& turn);
  void assign(std::size_t item);
  bool is_full() const;
  std::vector<Part> runs_of(const Target& target) const;
  std::vector<Part> divide(const Part& part, std::size_t count) const;
  bool is_same_range(std::size_t item, std::size_t next) const;
  RowsDigest digest_of_part(const Target& target, const Part& part) const;
  void ask(Turn& turn, std::size_t slot);
  void take_digests(Turn& turn, std::size_t slot, const FetchReply& reply);
  void look_closer(Target& target, const Part& part, FetchStatus status, std::vector<Part>& smaller) const;
  void send_records(Turn& turn, std::size_t slot);
  std::vector<crypto::Bytes> next_records(Turn& turn, Target& target);
  void take_verdicts(Turn& turn, std::size_t slot, const StoreReply& reply);
  void finish_target(Turn& turn, std::size_t slot);
  void settle_confirmed(Turn& turn);
  void settle(Turn& turn, const Item& item);
  void keep(Turn& turn, const KeyHash& key);
  void drop(Turn& turn, const Item& item);
  void finish_sweep(Instant now);
  RequestTerms terms_for(const Turn& turn, std::size_t slot) const;

  DataKey data_key_;
  std::size_t copies_least_;
  crypto::Rng rng_;
  std::optional<Instant> swept_at_;
  bool looks_at_spares_ = false;
  std::optional<Instant> next_step_;
  std::optional<KeyHash> after_;  // how far the sweep is
  bool is_complete_ = true;       // nothing that this sweep met had to be left for the next
  Duration retry_wait_{};         // before that one
  bool looks_closer_ = false;     // the last sweep left something
  std::uint64_t batch_number_ = 0;
  std::vector<Item> items_;
  std::vector<Target> targets_;
  std::size_t bytes_held_ = 0;  // in it
  std::size_t bytes_sent_ = 0;
  Counters counters_;
};

}  // namespace kith::dht
