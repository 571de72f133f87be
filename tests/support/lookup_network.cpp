// SPDX-License-Identifier: MIT
#include "tests/support/lookup_network.h"

#include <algorithm>

#include "tests/support/contacts.h"

namespace kith::tests {

using namespace dht;

struct LookupNetwork::Run {
  Lookup lookup;
  Now now{Instant(std::chrono::seconds(1)), 0};
  std::multimap<Instant, Answer> on_the_way;
  std::map<NodeId, Instant> unanswered;  // since when
  Outcome outcome;
};

LookupNetwork::LookupNetwork(std::size_t nodes, Profile profile) {
  for (std::size_t i = 0; i < nodes; ++i) {
    tables_.emplace_back(signed_contact(i), profile);
    numbers_.emplace(contact(i).id, i);
  }
}

void LookupNetwork::know(std::size_t who, std::size_t whom) { tables_[who].add(contact(whom)); }

void LookupNetwork::know_everybody() {
  for (std::size_t who = 0; who < size(); ++who) {
    for (std::size_t whom = 0; whom < size(); ++whom) know(who, whom);
  }
}

void LookupNetwork::know_buckets(std::size_t k) {
  for (std::size_t who = 0; who < size(); ++who) {
    std::map<int, std::size_t> bucket_sizes;
    for (std::size_t i = 0; i < size(); ++i) {
      const std::size_t whom = (who * 31 + i) % size();  // nodes must not all keep the same few
      if (whom != who && bucket_sizes[shared_prefix(contact(who).id, contact(whom).id)]++ < k) know(who, whom);
    }
  }
}

LookupNetwork::Outcome LookupNetwork::look_up(std::size_t asker, const Lookup::Goal& goal) {
  const HashSignatures signatures(asker);
  Run run{Lookup(goal, lookup_timing, signatures, crypto::Rng(crypto::ByteArray<32>{})), {}, {}, {}, {}};
  const Instant begin = run.now.instant;
  Outputs out;
  run.lookup.start(run.now, tables_[asker], out);
  for (int steps = 0; steps < 10'000; ++steps) {
    for (const Send& send : out.sends) deliver(send, run);
    out = {};
    const auto deadline = run.lookup.next_deadline();
    if (!deadline) break;
    const auto next = run.on_the_way.begin();
    if (next == run.on_the_way.end() || *deadline < next->first) {
      run.now.instant = *deadline;
      run.lookup.on_deadline(run.now, out);
      continue;
    }
    run.now.instant = next->first;
    const Answer answer = std::move(next->second);
    run.on_the_way.erase(next);
    run.unanswered.erase(answer.from);
    run.lookup.on_reply(run.now, answer.from, answer.request_id, answer.reply, out);
  }
  for (const Contact* found : run.lookup.closest()) run.outcome.closest.push_back(found->id);
  run.outcome.took = run.now.instant - begin;
  run.outcome.is_done = run.lookup.is_done();
  return run.outcome;
}

std::vector<NodeId> LookupNetwork::closest_alive(std::size_t asker, const Lookup::Goal& goal) const {
  View alive(tables_[asker].view().profile());
  for (std::size_t i = 0; i < size(); ++i) {
    if (!dead.contains(i)) alive.add(contact(i));
  }
  return alive.closest(goal.target, goal.count);
}

void LookupNetwork::deliver(const Send& send, Run& run) {
  const auto& find = std::get<Find>(send.message.body);
  run.outcome.asked.push_back(send.to);
  std::erase_if(run.unanswered,
                [&](const auto& sent) { return run.now.instant - sent.second >= lookup_timing.give_up_after; });
  run.unanswered.emplace(send.to, run.now.instant);
  run.outcome.in_flight_max = std::max(run.outcome.in_flight_max, run.unanswered.size());
  const auto number = numbers_.find(send.to);
  if (number == numbers_.end() || dead.contains(number->second)) return;
  const auto liar = liars.find(number->second);
  const FindReply reply = liar == liars.end() ? answer(number->second, find) : liar->second(find);
  run.on_the_way.emplace(run.now.instant + lookup_round_trip, Answer{send.to, send.message.request_id, reply});
}

FindReply LookupNetwork::answer(std::size_t node, const Find& find) const {
  FindReply reply;
  for (const Contact* close : tables_[node].closest(find.target, find.count)) reply.contacts.push_back(close->bytes);
  return reply;
}

}  // namespace kith::tests
