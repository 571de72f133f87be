// SPDX-License-Identifier: MIT
// What a node consists of, and how an input goes through its parts. Only node*.cpp include this.
#pragma once

#include <optional>
#include <vector>

#include "dht/cache/hot_reads.h"
#include "dht/consensus/acceptor.h"
#include "dht/consensus/reconfiguration.h"
#include "dht/node.h"
#include "dht/overlay/absences.h"
#include "dht/overlay/departures.h"
#include "dht/overlay/joining.h"
#include "dht/overlay/missing_seeds.h"
#include "dht/overlay/table.h"
#include "dht/repair/reaping.h"
#include "dht/repair/returning.h"
#include "dht/replication/bundles.h"
#include "dht/replication/coordinator.h"
#include "dht/replication/loads.h"
#include "dht/replication/placement.h"
#include "dht/watch/publisher.h"
#include "dht/watch/watches.h"

namespace kith::dht {

struct Node::State final : Neighbours {
  State(NodeOptions node_options, const Signatures& node_signatures, RecordStore& node_store, crypto::Rng node_rng);

  // Neighbours
  const NodeId& self() const override { return table.self().id; }
  const ReplicaSet& replica_set(Partition partition) override {
    // Where all are leaving, each keeps what it has.
    if (table.view().size() == 0) return only_self;
    return placement.replica_set(partition, static_cast<std::size_t>(options.n));
  }
  bool is_usable(const NodeId& node) const override { return node == self() || liveness.is_usable(node); }
  bool is_caught_up(Partition partition) override { return repair.catch_up().is_caught_up(*this, partition); }
  Duration round_trip(const NodeId& node) const override {
    const Member* member = liveness.find(node);
    return member == nullptr ? Duration::zero() : member->rtt;
  }
  bool is_clock_behind(const Now& now) const override {
    return liveness.clock_survey(now).ahead_ms > static_cast<std::int64_t>(limits::skew_shared_ms / 2);
  }
  std::uint32_t load(Instant now, const NodeId& node) override {
    return node == self() ? loads.own(now, options.weight) : loads.of(now, node);
  }
  bool was_heard(const NodeId& node) const override {
    const Member* member = liveness.find(node);
    return member != nullptr && member->last_heard != Instant{};
  }
  std::optional<std::uint64_t> usage_of(std::string_view name) const override { return repair.usage_of(name); }
  bool is_finding_out() const override { return finding_out_since.has_value(); }
  bool is_joining() const override { return liveness.member_count() == 0 && joining.next_deadline(); }
  bool is_settled(Instant now) const override;
  std::uint64_t view_version() const override { return table.view().version(); }
  std::vector<NodeId> usable_members() const override;
  bool is_everywhere() override {
    const View& view = table.view();
    return view.size() == 0 || (view.contains(self()) && view.size() <= static_cast<std::size_t>(options.n));
  }
  const std::vector<NodeId>& leavers() const override { return leaver_ids; }
  bool is_held_back() const override { return returning.is_held_back(*this); }
  bool is_held_back_from(const NodeId& node) const override { return returning.is_held_back_from(node, *this); }
  bool is_anybody_missed(WallMs wall_ms, WallMs grace_ms) const override;
  std::size_t members_known() const override;
  std::optional<WallMs> longest_absence() const override;
  std::size_t members_expected(WallMs wall_ms, WallMs grace_ms) const override;
  bool keeps_spares() const override { return departures.are_absences_long() && !leaving.is_leaving(); }

  Turn turn(Now now, Outputs& out) { return {now, out, requests, *this, store}; }
  // The key as it is in messages, where its namespace is strong.
  std::optional<std::string> strong_key(std::string_view key) const;
  bool is_strong_record(const crypto::Bytes& record) const;
  template <typename Request>
  Ticket begin(Now now, Outputs& out, Request request);
  void finish(Now now, Outputs& out, std::size_t first_send);
  void tell_of_damage(Outputs& out);
  Ticket open_watch(Turn& turn_now, WatchRequest request);
  void tell_of_changes(Turn& turn_now);
  void tend_watches(Turn& turn_now);
  void tend_quotas();
  void take_hot_reads(Turn& turn_now);
  void forget_reads(const std::set<std::uint64_t>& keys);
  void forget_all_reads();
  void read_for_watches(Turn& turn_now);
  Ticket begin_read(Turn& turn_now, const GetRequest& request, bool only_looks);
  std::vector<NodeId> holders_of(const Feed::Target& target);
  void lapse_with_author();
  void apply(Now now, const MemberChange& change, Outputs& out);
  void rejoin_when_alone(Now now, Outputs& out);
  void find_out(Instant now);
  std::optional<Instant> finding_out_end() const;
  void remove_departed(Instant now);
  void take_up_absences(Now now, const std::vector<NodeId>& remembered);
  void notice_gap(Now now, Outputs& out);
  void end_absence(Instant now, const NodeId& from);
  void meet_all(Now now, const std::vector<NodeId>& nodes, WallMs lived_ms, Duration uncertainty);
  void meet_again(Now now, const NodeId& node, WallMs since_ms, Duration uncertainty);
  void meet_stranger(Now now, const NodeId& node);
  void begin_returning(Now now);
  void take_reaped(Turn& turn_now, const NodeId& from, const Body& reply);
  void answer_reap(Now now, const NodeId& from, const Reap& reap, std::uint64_t request_id, Outputs& out);
  void bury(Now now, const Member& member);
  void owners_changed(Instant now);
  void renew_contact(Now now, Contact contact);
  void change_weight(Now now, std::uint8_t weight, Outputs& out);
  LeaveProgress leave_progress() const;
  void go_on_leaving(Now now, Outputs& out);
  void note_leaver(const Member& member);
  std::vector<NodeId> remember_members(Now now);
  void forget(Instant now, const NodeId& node);
  void note_absences(Now now);
  bool note_weight();
  void begin_filling(Instant now);
  WallMs departure_ms() const;
  void note_departure(Instant now, std::size_t placed_before);
  void note_filled();
  std::uint64_t outbox_of_holders() const;
  void refresh_contact(Instant now, const NodeId& node);
  void ask_missing_seeds(Now now, Outputs& out);
  void reply(const NodeId& to, std::uint64_t request_id, Replica::Answer answer, Outputs& out) const;
  void answer_request(Now now, const NodeId& from, const Message& message, Outputs& out);
  bool answer_as_voter(Now now, const NodeId& from, const Message& message, Outputs& out);
  void answer_join(Now now, const NodeId& from, std::uint64_t request_id, Outputs& out) const;
  MembersReply page_of_members(Now now, const Members& asked) const;
  void learn_absences(Now now, const MembersReply& page);
  void carry_digests(Turn& turn_now, std::size_t first_send);
  void take_digests(Now now, const NodeId& from, const Body& body, Outputs& out);
  Replica::Answer fetch_here(const NodeId& from, const Fetch& request);
  bool may_lack(const Fetch& request, std::size_t answer);
  bool may_lack(const KeyHash& key);
  void answer_store(Now now, const NodeId& from, const Store& store_request, std::uint64_t request_id, Outputs& out);
  void note_hint(Now now, const Store& stored, const StoreReply& reply);
  void take_silence(Turn& turn_now, const RequestTable::Silence& silent);
  void take_silence_of_voter(Turn& turn_now, const RequestOwner& owner, Proposal::Failure why);
  void go_without(Turn& turn_now, const NodeId& node);
  void take_reply(Now now, const NodeId& from, const Message& message, Outputs& out);
  void note_load(Instant now, const NodeId& from, const Body& reply);
  void take_answer(Now now, const NodeId& from, const RequestOwner& owner, const Body& body, Outputs& out);
  void take_bundle(Now now, const Bundle& bundle, const Body& body, Outputs& out);
  Ticket get(Turn& turn_now, const GetRequest& request);
  std::size_t bytes_begun(Ticket ticket, const Outputs& out) const;
  bool is_unasked_page(const NodeId& from, const Message& message) const;
  void take_members(Now now, const NodeId& from, const Message& message, Outputs& out);
  FindReply closest_contacts(const Find& find) const;

  NodeOptions options;
  const Signatures& signatures;
  crypto::Rng rng;
  Repair repair;
  TrackedStore& store;  // repair's, which sees each change
  Table table;
  Placement placement;
  Liveness liveness;
  Joining joining;
  MissingSeeds missing_seeds;
  Departures departures;
  Absences absences;
  Leaving leaving;
  std::vector<NodeId> leaver_ids;
  ReplicaSet only_self;
  Author author;
  Replica replica;
  RequestTable requests;
  Loads loads;
  Bundles bundles;
  Policies policies;
  Coordinator coordinator;
  ReapWitness reap_witness;
  Reaping reaping;
  Returning returning;
  Configurations configurations;
  Acceptor acceptor;
  Proposer proposer;
  RegisterTable registers;
  Reconfiguration reconfiguration;
  Publisher publisher;
  Watches watches;
  HotReads hot_reads;
  std::uint64_t watched_view = 0;      // of the members, when watches were tended last
  std::uint64_t watched_policies = 0;  // and their digest then
  std::uint64_t counted_policies = 0;  // the digest when it was last said which namespaces have a quota
  std::optional<Instant> settled_since;
  std::optional<Instant> finding_out_since;
  bool is_filling = false;  // noted on disk
  bool was_cut_off = false;
  Instant departed_at{};        // the last that did
  std::size_t placed_once = 0;  // before the first that departed together with it
  std::uint64_t replies_unasked = 0;
  Replica::Counters told;  // what events have told of
};

}  // namespace kith::dht
