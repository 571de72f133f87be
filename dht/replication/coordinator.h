// SPDX-License-Identifier: MIT
// The coordinator: the node a client talks to (Dynamo §4.5). It authors writes, keeps the tickets, and hands each
// answer to the operation that waits for it.
#pragma once

#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "crypto/rng.h"
#include "dht/model/author.h"
#include "dht/model/requests.h"
#include "dht/model/token.h"
#include "dht/replication/chunk_search.h"
#include "dht/replication/handoff.h"
#include "dht/replication/listing.h"
#include "dht/replication/outbox.h"
#include "dht/replication/policies.h"
#include "dht/replication/quorum.h"
#include "dht/replication/read.h"
#include "dht/replication/recent_reads.h"
#include "dht/replication/replica.h"
#include "dht/replication/write.h"

namespace kith::dht {

class Coordinator {
 public:
  // What stands behind the references must outlive the coordinator.
  struct Parts {
    Author& author;
    Replica& replica;
    Policies& policies;
  };
  Coordinator(QuorumDefaults defaults, DataKey data_key, Parts parts, crypto::Rng rng);

  // Each ticket completes exactly once, in this call's outputs or later ones.
  Ticket put(Turn& turn, PutRequest request);
  Ticket restore(Turn& turn, const RestoreRequest& request);
  Ticket get(Turn& turn, const GetRequest& request);
  // The same; what was read is kept for take_rows().
  Ticket read_rows(Turn& turn, const GetRequest& request);
  // Requires: the ticket is of read_rows(), and completed. Of a key that was forgotten meanwhile there are none.
  Rows take_rows(Ticket ticket);
  Ticket scan(Turn& turn, const ScanRequest& request);
  Ticket set_policy(Turn& turn, const PolicyRequest& request);
  Ticket find_chunks(Turn& turn, const ChunksRequest& request);
  void cancel(Ticket ticket);

  // Of the records that an open read has merged so far.
  std::size_t bytes_read(Ticket ticket) const;

  // A write of this node is under way, answered or not.
  bool is_writing() const { return !writes_.empty(); }

  // An answer of `from` to the request of `owner`.
  void on_reply(Turn& turn, const NodeId& from, const RequestOwner& owner, const Body& reply);
  void on_silence(Turn& turn, const NodeId& node, const RequestOwner& owner);
  // The mesh suspects the node that the request was sent to, or no road leads there.
  void on_away(Turn& turn, const NodeId& node, const RequestOwner& owner);
  void on_back(Turn& turn, const NodeId& node) { outbox_.on_member_back(turn, node); }
  // Members came or went: keys may belong elsewhere from now on.
  void on_work(Instant now) { handoff_.on_work(now); }

  void start(Instant now) { outbox_.start(now); }
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const {
    return earlier(wakeups_.next(), earlier(outbox_.next_deadline(), handoff_.next_deadline()));
  }

  // A new run: what the author knows of its past no longer binds it.
  void begin_run(Turn& turn);

  // True once after it showed that this node's disk is one of earlier.
  bool take_past_lost() { return std::exchange(is_past_lost_, false); }

  // How a client reads this key that says nothing more. Requires: it is canonical.
  ReadTerms read_terms(Turn& turn, std::string key) const;
  const Rows& recently_shown(const KeyHash& key) const { return recent_.of(key); }

  // What was answered of these keys, by the first eight bytes of their hash, is not to be merged into later reads.
  void forget_reads(const std::set<std::uint64_t>& keys);
  void forget_all_reads();
  void on_joined(Instant now) { outbox_.on_joined(now); }
  void give_up_on(Instant now, const NodeId& node) { outbox_.give_up_on(now, node); }
  bool is_readdressing() const { return outbox_.is_readdressing(); }

  std::size_t tickets_open() const { return writes_.size() + reads_.size() + listings_.size() + searches_.size(); }
  std::uint64_t read_repairs() const { return read_repairs_; }
  const Handoff::Counters& handoff_counters() const { return handoff_.counters(); }

 private:
  struct Intended {
    PutRequest request;  // its key is canonical
    Instant began;
    std::uint64_t usage = 0;  // of its namespace, in bytes, as replicas said; 0: none did
  };
  struct Prepared {
    const Intended& intended;
    const Rows& read;  // by the read before it
  };
  struct OwnWrite {
    Authored authored;
    std::optional<std::int64_t> counter;  // what it stands at now, as far as is known here
  };

  bool reads_first(Turn& turn, const PutRequest& request) const;
  void read_first(Turn& turn, Ticket ticket, const Intended& intended);
  void write(Turn& turn, Ticket ticket, const Intended& intended, const Rows& read);
  Result<WriteTerms> author_write(Turn& turn, Ticket ticket, const Intended& intended, const Rows& read);
  Result<WriteTerms> repeat_write(Turn& turn, Ticket ticket, const Prepared& prepared, const Operation& operation);
  Result<OwnWrite> author_row(Turn& turn, const WriteIntent& intent, const Rows& read);
  Result<Record> take_restored(Turn& turn, const RestoreRequest& request);
  void start_write(Turn& turn, WriteTerms terms);
  void begin_read(Turn& turn, ReadTerms terms);
  void conclude_read(Turn& turn, Completion completion, const Rows& rows);
  void rewrite(Turn& turn, Ticket ticket, const Write& write, const VersionVector& seen);
  // An error while as much is in progress as may be.
  std::optional<Error> check_room(const Turn& turn) const;
  std::optional<Error> check_put(const PutRequest& request, const NodeId& self) const;
  std::optional<Error> check_quota(Turn& turn, const Prepared& prepared, const VersionVector* token) const;
  std::optional<Error> check_strict(Turn& turn, const PutRequest& request, const ReplicaSet& set,
                                    std::size_t required) const;
  void begin_run_after(Turn& turn, const VersionVector& seen);
  bool is_forgotten(Turn& turn, const KeyHash& key, const VersionVector& seen);
  // It is refused where its namespace is full.
  bool has_quota(const PutRequest& request) const;
  bool keeps_siblings(std::string_view key) const { return policies_.of(key).conflict == Conflict::siblings; }
  // A copy in memory is less than one on a disk: of those all are waited for.
  int w_of(const Policy& policy) const {
    if (policy.w > 0) return policy.w;
    return policy.durability == Durability::write_back ? defaults_.n : defaults_.w;
  }
  void reserve(Turn& turn);
  void on_write_reply(Turn& turn, const NodeId& from, const RequestOwner& owner, const Body& reply);
  void on_chunks_reply(Turn& turn, const RequestOwner& owner, const Body& reply);
  void on_read_reply(Turn& turn, const RequestOwner& owner, const Body& reply);
  void learn(Turn& turn, const KeyHash& key, const VersionVector& seen);

  // Answers the client if it can be answered, and drops the operation or arms its next wake-up.
  void settle(Turn& turn, Ticket ticket, Write& write);
  void settle(Turn& turn, Ticket ticket, Read& read);
  void settle(Turn& turn, Ticket ticket, Listing& listing);
  void settle(Turn& turn, Ticket ticket, ChunkSearch& search);
  void remember(Turn& turn, const Read& read);
  void emit(Turn& turn, Completion completion);
  void fail(Turn& turn, Ticket ticket, Error error);

  QuorumDefaults defaults_;
  DataKey data_key_;
  Author& author_;
  Replica& replica_;
  Policies& policies_;
  crypto::Rng rng_;
  Outbox outbox_;
  Handoff handoff_;
  Ticket last_ticket_ = 0;
  std::unordered_map<Ticket, Write> writes_;
  std::unordered_map<Ticket, Read> reads_;
  std::unordered_map<Ticket, Intended> after_read_;  // writes whose read is under way
  std::unordered_map<Ticket, Listing> listings_;
  std::unordered_map<Ticket, ChunkSearch> searches_;
  std::unordered_map<Ticket, Rows> rows_wanted_;  // of read_rows()
  std::unordered_set<Ticket> cancelled_;
  Deadlines<Ticket> wakeups_;
  AuthorState reserved_;  // what the store was last told
  bool is_past_lost_ = false;
  std::uint64_t read_repairs_ = 0;

  RecentReads recent_;

  // What replicas said they hold, for later blind writes of keys this node does not hold itself.
  std::unordered_map<KeyHash, VersionVector> heard_;
};

}  // namespace kith::dht
