// SPDX-License-Identifier: MIT
// Watches and hot keys, as they hang together with the rest of a node (dht/watch, dht/cache).
#include <algorithm>

#include "dht/node_state.h"

namespace kith::dht {

namespace {

// Those of the node's own reads: no client waits for them.
template <typename IsOwn>
std::vector<Completion> take_out(std::vector<Completion>& completions, IsOwn is_own) {
  const auto own = std::stable_partition(completions.begin(), completions.end(), std::not_fn(is_own));
  std::vector<Completion> taken(std::make_move_iterator(own), std::make_move_iterator(completions.end()));
  completions.erase(own, completions.end());
  return taken;
}

}  // namespace

Ticket Node::State::open_watch(Turn& turn_now, WatchRequest request) {
  if (request.is_prefix) return watches.open(turn_now, request);
  Result<std::string> key = canonical_key(request.target, self());
  if (!key) return watches.refuse(turn_now, key.error());
  request.target = std::move(*key);
  return watches.open(turn_now, request);
}

// Of what was written in this turn those are told who watch it, and those to whom it was lent.
void Node::State::tell_of_changes(Turn& turn_now) {
  if (const std::vector<KeyHash> changed = store.take_changed(); !changed.empty()) {
    publisher.on_changed(turn_now, changed);
    hot_reads.on_changed(turn_now, changed);
  }
  store.note_changes(publisher.has_subscriptions() || hot_reads.is_in_use());
}

// The watches of this node's own clients read what they were told of.
void Node::State::tend_watches(Turn& turn_now) {
  if (watches.is_idle()) return;
  const bool has_other_members = std::exchange(watched_view, view_version()) != view_version();
  const auto due = watches.next_tend();
  if (has_other_members || (due && *due <= turn_now.now.instant)) {
    watches.tend(turn_now, has_other_members ? Watches::Which::all : Watches::Which::due,
                 [this](const Feed::Target& target) { return holders_of(target); });
  }
  if (std::exchange(watched_policies, policies.digest()) != policies.digest()) watches.on_policies();
  watches.settle(turn_now);
  read_for_watches(turn_now);
}

// Where its rows or registers may be, and here, where it may have been written. Who is away is asked when it is back.
std::vector<NodeId> Node::State::holders_of(const Feed::Target& target) {
  std::vector<NodeId> holders{self()};
  if (target.is_prefix) {
    for (const Member* member : liveness.members()) {
      if (!member->contact.has_left) holders.push_back(member->contact.id);
    }
    return holders;
  }
  const ReplicaSet& set = replica_set(partition_of(hash_key(target.name)));
  holders.insert(holders.end(), set.replicas.begin(), set.replicas.end());
  // Those who stand in for them.
  const auto is_away = [this](const NodeId& node) { return !is_usable(node); };
  auto away = std::ranges::count_if(set.replicas, is_away);
  for (const NodeId& node : set.next) {
    if (away > 0 && !is_away(node)) holders.push_back(node), --away;
  }
  const Configuration* voters = configurations.of(shard_of(hash_key(target.name)));
  if (strong_key(target.name) && voters != nullptr) {
    for (const Voter& voter : voters->voters()) holders.push_back(voter.node);
  }
  std::ranges::sort(holders);
  const auto repeated = std::ranges::unique(holders);
  holders.erase(repeated.begin(), repeated.end());
  return holders;
}

Ticket Node::State::begin_read(Turn& turn_now, const GetRequest& request, bool only_looks) {
  if (!strong_key(request.key)) return coordinator.get(turn_now, request);
  return only_looks ? registers.look(turn_now, request) : registers.get(turn_now, request);
}

// Some reads are answered at once, and what comes of them leads to others.
void Node::State::read_for_watches(Turn& turn_now) {
  std::vector<Completion>& completions = turn_now.out.completions;
  for (bool has_news = true; has_news;) {
    for (const Watches::Wanted& wanted : watches.take_wanted()) {
      GetRequest request;
      request.key = wanted.name;
      if (wanted.is_repeated) request.r = options.n;
      watches.started(begin_read(turn_now, request, wanted.only_looks), wanted);
    }
    const std::vector<Completion> read =
        take_out(completions, [this](const Completion& completion) { return watches.is_read(completion.ticket); });
    has_news = !read.empty();
    for (const Completion& completion : read) watches.on_read(turn_now, completion);
    watches.settle(turn_now);
  }
}

void Node::State::take_hot_reads(Turn& turn_now) {
  const std::vector<Completion> read = take_out(
      turn_now.out.completions, [this](const Completion& completion) { return hot_reads.is_read(completion.ticket); });
  for (const Completion& completion : read) hot_reads.on_read(turn_now, completion);
}

void Node::State::forget_reads(const std::set<std::uint64_t>& keys) {
  coordinator.forget_reads(keys);
  hot_reads.forget(keys);
}

void Node::State::forget_all_reads() {
  coordinator.forget_all_reads();
  hot_reads.forget_all();
}

}  // namespace kith::dht
