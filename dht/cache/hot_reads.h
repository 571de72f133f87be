// SPDX-License-Identifier: MIT
// Reads of keys that many ask for, in namespaces whose policy is `cache = through`: they are answered from what a read
// of R replicas showed at most limits::lease_life ago (docs/protocol.md, "Hot keys").
//
//   replica counts ──hot──LeaseNotice──► whoever reads ──Lease──► one of `spread` lenders ──a read of R replicas──►
//                                          shows it until        keeps what it showed,
//                                          its lease is over     and lends it on
//
// Lenders are the key's replicas and the nodes next to them: the busier the key, the more of them. Whoever holds a
// lease is told when the key is written, first by the replicas, then by the lenders. That may be lost; the lease ends
// all the same.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "crypto/rng.h"
#include "dht/cache/demand.h"
#include "dht/cache/hot_key.h"
#include "dht/cache/leases.h"
#include "dht/model/deadlines.h"
#include "dht/replication/coordinator.h"

namespace kith::dht {

class HotReads {
 public:
  // What stands behind the references must outlive it.
  struct Parts {
    Coordinator& coordinator;
    Replica& replica;
    const Policies& policies;
  };
  // From `hot` reads of clients a second on a key is lent.
  HotReads(double hot, DataKey data_key, Parts parts, crypto::Rng rng)
      : data_key_(data_key), parts_(parts), rng_(std::move(rng)), demand_(hot) {}

  static bool is_ticket(Ticket ticket) { return (ticket >> 61U) == 1; }

  // Absent where the read is not for it: it takes the usual way.
  std::optional<Ticket> get(Turn& turn, const GetRequest& request);
  void cancel(Ticket ticket) { waiting_.erase(ticket); }
  std::size_t open() const { return waiting_.size(); }

  // Reads that it began itself; not for clients.
  bool is_read(Ticket ticket) const { return reads_.contains(ticket); }
  void on_read(Turn& turn, const Completion& completion);

  void on_lease(Turn& turn, const NodeId& from, std::uint64_t request_id, const Lease& lease);
  void on_reply(Turn& turn, const RequestOwner& owner, const Body& body);
  void on_silence(Turn& turn, const RequestOwner& owner);
  void on_notice(Turn& turn, const NodeId& from, const LeaseNotice& notice);
  // `from` is told this of what it reads here.
  void on_fetch(Turn& turn, const NodeId& from, const Fetch& fetch, const FetchReply& reply);
  // They were written here.
  void on_changed(Turn& turn, const std::vector<KeyHash>& keys);
  bool is_in_use() const { return !held_.empty() || !leases_.is_empty(); }
  // By the first eight bytes of their hash.
  void forget(const std::set<std::uint64_t>& keys);
  void forget_all();

  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const;

  std::vector<HotKey> top(Turn& turn, std::size_t count);

 private:
  struct Borrower {
    NodeId node;
    std::uint64_t request_id = 0;
  };
  struct Kept {
    Rows rows{};
    std::size_t bytes = 0;
  };
  struct Held {
    std::string key;
    Kept lent;
    Kept shown;           // last, to clients; only for them
    Instant read_at{};    // when the read began that showed them
    Instant hot_until{};  // as others said
    std::uint8_t spread = 0;
    std::uint32_t reads = 0;  // not yet told of
    bool is_reading = false;
    bool was_written = false;  // since the read under way began
    Instant asked_at{};
    Instant deadline{};  // of the client that waits longest
    std::vector<Ticket> tickets;
    std::vector<Borrower> borrowers;
  };
  struct Waiting {
    Instant began;
  };

  bool may_lend(std::string_view key) const;
  std::vector<NodeId> lenders(Turn& turn, const KeyHash& key, std::size_t spread) const;
  std::uint8_t spread_of(Turn& turn, const KeyHash& key);
  NodeId draw_lender(Turn& turn, const std::vector<NodeId>& lenders);
  Held* find_hot(Turn& turn, const KeyHash& hash, const std::string& key);
  Held* find_or_add(Instant now, const KeyHash& hash);
  void refresh(Turn& turn, const KeyHash& hash, Held& held);
  void read(Turn& turn, const KeyHash& hash, Held& held);
  void keep(Held& held, Rows rows, Instant read_at);
  void replace(Kept& kept, Rows rows);
  void forget(Held& held);
  void complete(Turn& turn, Ticket ticket, Completion completion);
  void serve(Turn& turn, const KeyHash& hash, Held& held);
  Completion show(Turn& turn, const KeyHash& hash, Held& held, Rows rows);
  static Duration time_left(Instant now, const Held& held);
  LeaseReply lend(Turn& turn, const KeyHash& hash, const Held& held, const NodeId& to);
  void end(Turn& turn, const KeyHash& key);
  void tidy(Instant now);
  template <typename IsOfUse>
  void drop_unless(IsOfUse is_of_use);
  static bool is_fresh(const Held& held, Instant now);

  DataKey data_key_;
  Parts parts_;
  crypto::Rng rng_;
  Demand demand_;
  Leases leases_;
  std::unordered_map<KeyHash, Held> held_;
  std::size_t held_bytes_ = 0;
  std::unordered_map<Ticket, KeyHash> reads_;  // under way: of replicas, or from a lender
  std::unordered_map<Ticket, Waiting> waiting_;
  Deadlines<Ticket> wakeups_;
  Ticket last_ticket_ = Ticket{1} << 61U;
  Instant tidied_{};
};

}  // namespace kith::dht
