// SPDX-License-Identifier: MIT
// A few devices that decide about one shard, and the messages between them: delivered, or held back as the test says.
#pragma once

#include <catch2/catch.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dht/consensus/acceptor.h"
#include "dht/consensus/reconfiguration.h"
#include "dht/model/register_value.h"
#include "tests/support/replication.h"

namespace kith::test {

using namespace dht;

class Voters {
 public:
  struct Device : Bench {
    explicit Device(std::uint64_t index) : Bench(index), rng(crypto::ByteArray<32>{static_cast<std::uint8_t>(index)}) {
      neighbours.self_id = node_id_of(signatures.signing_key());
      author.begin_run(rng, now.wall_ms);
      store.reserve(author.state());
      configurations.emplace(neighbours.self_id, rng.fork());
      configurations->load(store);
      acceptor.emplace(signatures, *configurations);
      proposer.emplace(*configurations, rng.fork());
      registers.emplace(RegisterTable::Options{.data_key = data_key}, author, *proposer);
      reconfiguration.emplace(Reconfiguration::Options{.n = 3, .after = 60s}, *configurations, *proposer, *registers);
      reconfiguration->start(now.instant);
      store.commit();
    }

    const NodeId& id() const { return neighbours.self_id; }

    crypto::Rng rng;
    std::optional<Configurations> configurations;
    std::optional<Acceptor> acceptor;
    std::optional<Proposer> proposer;
    std::optional<RegisterTable> registers;
    std::optional<Reconfiguration> reconfiguration;
  };

  // The first `voters` of the devices decide.
  explicit Voters(std::size_t count = 3, std::size_t voters = 3) {
    for (std::size_t i = 0; i < count; ++i) devices_.push_back(std::make_unique<Device>(i + 1));
    ReplicaSet set;
    Configuration first{.shard = shard(), .epoch = 1, .members = {}, .old = {}};
    for (std::size_t i = 0; i < count; ++i) {
      set.replicas.push_back(at(i).id());
      if (i < voters) first.members.push_back(at(i).configurations->self());
    }
    for (auto& device : devices_) {
      device->neighbours.set = set;
      device->configurations->learn(device->store, first);
      device->store.commit();
    }
  }

  static constexpr const char* key = "locks/printer";
  static KeyHash hash() { return hash_key(key); }
  static Shard shard() { return shard_of(hash()); }

  Device& at(std::size_t index) { return *devices_[index]; }
  std::size_t size() const { return devices_.size(); }
  const Configuration& configuration(std::size_t index) { return *at(index).configurations->of(shard()); }
  Voter voter(std::size_t index) { return at(index).configurations->self(); }

  // Placement, as all see it.
  void place(const std::vector<std::size_t>& indices) {
    ReplicaSet set;
    for (const std::size_t i : indices) set.replicas.push_back(at(i).id());
    for (auto& device : devices_) device->neighbours.set = set;
  }
  void go_away(std::size_t index) {
    for (auto& device : devices_) device->neighbours.away.insert(at(index).id());
  }
  void come_back(std::size_t index) {
    for (auto& device : devices_) device->neighbours.away.erase(at(index).id());
  }

  Ticket put(std::size_t index, std::string value, Condition condition = Condition::none, crypto::Bytes token = {}) {
    PutRequest request;
    request.key = key;
    request.value.assign(value.begin(), value.end());
    request.condition = condition;
    request.token = std::move(token);
    return put(index, std::move(request));
  }
  Ticket put(std::size_t index, PutRequest request) {
    Turn turn = at(index).turn();
    return at(index).registers->put(turn, std::move(request));
  }
  Ticket get(std::size_t index) {
    Turn turn = at(index).turn();
    GetRequest request;
    request.key = key;
    return at(index).registers->get(turn, request);
  }

  // Which messages arrive; all unless said.
  std::function<bool(const Device& from, const Device& to, const Body&)> passes = [](auto&...) { return true; };

  // Until nothing is on its way any more.
  void deliver() {
    for (bool is_quiet = false; !is_quiet;) {
      is_quiet = true;
      for (auto& device : devices_) {
        device->store.commit();
        for (const Send& send : std::exchange(device->out.sends, {})) {
          is_quiet = false;
          carry(*device, send);
        }
      }
    }
  }

  // Time passes, in small steps, and everything is delivered.
  void run(Duration time) {
    for (const Instant end = at(0).now.instant + time; at(0).now.instant < end;) {
      for (auto& device : devices_) {
        device->now.instant += 50ms;
        device->now.wall_ms += 50;
        Turn turn = device->turn();
        for (const auto& silent : device->requests.on_deadline(device->now, device->out)) fall_silent(*device, silent);
        device->registers->on_deadline(turn);
        device->reconfiguration->on_deadline(turn);
      }
      deliver();
      ping();
    }
  }

  // What the ticket came to; nothing while it is open.
  std::optional<Completion> outcome(std::size_t index, Ticket ticket) {
    for (const Completion& completion : at(index).out.completions) {
      if (completion.ticket == ticket) return completion;
    }
    return std::nullopt;
  }
  Receipt receipt(std::size_t index, Ticket ticket) { return outcome_as<Receipt>(index, ticket); }
  ReadAnswer answer(std::size_t index, Ticket ticket) { return outcome_as<ReadAnswer>(index, ticket); }
  ErrorCode error(std::size_t index, Ticket ticket) { return outcome_as<Error>(index, ticket).code; }

  // What a device reads, with everything delivered.
  std::string read(std::size_t index) {
    const Ticket ticket = get(index);
    run(3s);
    const ReadAnswer read = answer(index, ticket);
    if (read.values.empty() || read.values.front().kind == EntryKind::tombstone) return "";
    return {read.values.front().bytes.begin(), read.values.front().bytes.end()};
  }

 private:
  template <typename Outcome>
  Outcome outcome_as(std::size_t index, Ticket ticket) {
    const auto completion = outcome(index, ticket);
    REQUIRE(completion);
    REQUIRE(std::holds_alternative<Outcome>(completion->outcome));
    return std::get<Outcome>(completion->outcome);
  }

  Device* find(const NodeId& node) {
    for (auto& device : devices_) {
      if (device->id() == node) return device.get();
    }
    return nullptr;
  }

  void carry(Device& from, const Send& send) {
    Device* to = find(send.to);
    REQUIRE(to != nullptr);
    from.requests.left(from.now.instant, send.message.request_id);
    if (!passes(from, *to, send.message.body)) return;
    const auto answer = answer_of(*to, from, send.message.body);
    to->store.commit();
    if (!answer || !passes(*to, from, *answer)) return;
    take(from, to->id(), send.message.request_id, *answer);
  }

  // What pings tell.
  void ping() {
    for (auto& device : devices_) {
      for (auto& other : devices_) {
        if (!device->neighbours.is_usable(other->id()) || !device->neighbours.is_usable(device->id())) continue;
        Turn turn = device->turn();
        device->configurations->on_digest(turn, other->id(), other->configurations->digest());
      }
    }
  }

  static std::optional<Body> answer_of(Device& device, const Device& from, const Body& body) {
    if (const auto* prepare = std::get_if<Prepare>(&body))
      return device.acceptor->prepare(device.now.instant, device.store, *prepare).reply;
    if (const auto* accept = std::get_if<Accept>(&body)) return device.acceptor->accept(device.store, *accept);
    if (const auto* list = std::get_if<Registers>(&body)) return device.acceptor->list(device.store, *list);
    if (const auto* query = std::get_if<ConfigurationQuery>(&body)) {
      Turn turn = device.turn();
      return device.configurations->answer(turn, from.id(), *query);
    }
    return std::nullopt;
  }

  static void take(Device& device, const NodeId& from, std::uint64_t request, const Body& body) {
    const auto answered = device.requests.answer(device.now.instant, from, request);
    if (!answered) return;
    Turn turn = device.turn();
    switch (answered->owner.kind) {
      case RequestOwner::Kind::registers:
        return device.registers->on_reply(turn, answered->owner, body);
      case RequestOwner::Kind::configurations:
        return device.configurations->on_reply(turn, from, body);
      default:
        return device.reconfiguration->on_reply(turn, answered->owner, body);
    }
  }

  static void fall_silent(Device& device, const RequestTable::Silence& silent) {
    Turn turn = device.turn();
    if (silent.owner.kind == RequestOwner::Kind::configurations) return;
    if (silent.owner.kind == RequestOwner::Kind::registers)
      return device.registers->on_silence(turn, silent.owner, Proposal::Failure::silent);
    device.reconfiguration->on_silence(turn, silent.owner, Proposal::Failure::silent);
  }

  std::vector<std::unique_ptr<Device>> devices_;
};

// What a device has accepted for the key; empty where that is nothing.
inline std::string accepted_by(Voters& voters, std::size_t index) {
  const HeldAcceptance held = voters.at(index).store.acceptance(Voters::hash());
  if (!held.acceptance || held.acceptance->accepted.is_none()) return "";
  const auto value = read_register_value(held.acceptance->value);
  const Entry entry = value->record.entry(0);
  return entry.kind == EntryKind::tombstone ? "(deleted)" : std::string(entry.bytes.begin(), entry.bytes.end());
}

inline Prepare prepare_of(const Configuration& configuration, const Voter& voter, Ballot ballot) {
  return {.configuration = encode(configuration), .voter = voter.tag, .key = Voters::hash(), .ballot = ballot};
}

}  // namespace kith::test
