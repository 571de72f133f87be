// SPDX-License-Identifier: MIT
// Nodes that hear each other, and read one key of a namespace.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "dht/model/key.h"
#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "dht/replication/placement.h"
#include "tests/sim/signatures.h"

namespace kith::test {

namespace reading_mesh {

using namespace dht;
using namespace std::chrono_literals;

inline constexpr Duration step = 2ms;  // a message takes one

class Mesh {
 public:
  explicit Mesh(std::size_t size = 5, Cache cache = Cache::through, int n = 3) {
    NodeOptions options;
    options.n = n;
    for (std::size_t i = 0; i < size; ++i) {
      devices_.push_back(std::make_unique<Device>(i));
      const crypto::Hash256 seed{static_cast<std::uint8_t>(i + 1)};
      devices_[i]->node = std::make_unique<Node>(options, devices_[i]->signatures, devices_[i]->disk, seed);
      with(i, [&](Node& node, Outputs& out) { node.start(now(), {}, out); });
    }
    for (std::size_t i = 1; i < size; ++i) {
      const std::array seed{id(0)};
      with(i, [&](Node& node, Outputs& out) { node.join(now(), seed, out); });
    }
    run(70s);
    PolicyRequest policy;
    policy.name = "default";
    policy.must_be_new = true;
    policy.cache = cache;
    with(0, [&](Node& node, Outputs& out) { node.set_policy(now(), policy, out); });
    run(10s);
  }

  std::size_t size() const { return devices_.size(); }
  NodeId id(std::size_t i) { return devices_[i]->node->id(); }
  Node& node(std::size_t i) { return *devices_[i]->node; }
  Now now() const { return {now_, 1'700'000'000'000 + static_cast<WallMs>(now_.time_since_epoch() / 1ms)}; }

  void run(Duration duration) {
    for (const Instant end = now_ + duration; now_ < end; now_ += step) {
      for (std::size_t waiting = queue_.size(); waiting > 0; --waiting) deliver();
      for (std::size_t i = 0; i < devices_.size(); ++i) wake(i);
    }
  }

  Ticket get(std::size_t i, std::optional<int> r = std::nullopt, Duration deadline = limits::request_deadline_default) {
    GetRequest request;
    request.key = "default/a";
    request.r = r;
    request.deadline = deadline;
    Ticket ticket = 0;
    with(i, [&](Node& node, Outputs& out) { ticket = node.get(now(), request, out); });
    return ticket;
  }
  const ReadAnswer& answer(std::size_t i, Ticket ticket) {
    REQUIRE(devices_[i]->done.contains(ticket));
    return std::get<ReadAnswer>(devices_[i]->done.at(ticket).outcome);
  }
  bool is_done(std::size_t i, Ticket ticket) { return devices_[i]->done.contains(ticket); }
  ReadAnswer read(std::size_t i) {
    const Ticket ticket = get(i);
    run(20 * step);
    return answer(i, ticket);
  }
  std::string value(std::size_t i) { return text(read(i)); }
  static std::string text(const ReadAnswer& shown) {
    REQUIRE_FALSE(shown.values.empty());
    return {shown.values.front().bytes.begin(), shown.values.front().bytes.end()};
  }

  void put(std::size_t i, std::string_view value) {
    PutRequest request;
    request.key = "default/a";
    request.value.assign(value.begin(), value.end());
    Ticket ticket = 0;
    with(i, [&](Node& node, Outputs& out) { ticket = node.put(now(), request, out); });
    run(10 * step);
    REQUIRE(std::holds_alternative<Receipt>(devices_[i]->done.at(ticket).outcome));
  }

  // No disk has anything of the key any more, as if it had been reaped.
  void forget() {
    for (const auto& device : devices_) {
      device->disk.replace(hash_key("default/a"), {});
      device->disk.commit();
    }
  }

  // At all devices, often enough for the key to be hot.
  void read_much(Duration time = 6s) {
    for (const Instant end = now_ + time; now_ < end; run(100ms)) {
      for (std::size_t i = 0; i < size(); ++i) get(i);
    }
  }

  void say(std::size_t from, std::size_t to, Message message) {
    queue_.push_back({id(from), id(to), std::move(message)});
    run(5 * step);
  }

  std::size_t replica() { return number_of(node(0).replicas_of(partition_of(hash_key("default/a"))).front()); }
  // Neither a replica nor next to them. Requires: there are enough devices for that.
  std::size_t far_away() {
    View view;
    for (std::size_t i = 0; i < size(); ++i) view.add(node(i).self());
    Placement placement(view);
    const auto n = static_cast<std::size_t>(node(0).options().n);
    const ReplicaSet& set = placement.replica_set(partition_of(hash_key("default/a")), n);
    const auto is_in = [&](const std::vector<NodeId>& nodes, const NodeId& node) {
      return std::ranges::find(nodes, node) != nodes.end();
    };
    std::size_t i = 0;
    while (is_in(set.replicas, id(i)) || is_in(set.next, id(i))) ++i;
    return i;
  }
  // The same; the key is hot, and it holds a lease.
  std::size_t outsider() {
    read_much();
    REQUIRE(said<Lease>(far_away()) > 0);
    return far_away();
  }

  template <typename Kind>
  std::size_t said(std::optional<std::size_t> by = std::nullopt) const {
    return static_cast<std::size_t>(std::ranges::count_if(heard_, [&](const Heard& heard) {
      return heard.kind == Body(Kind{}).index() && (!by || heard.from == devices_[*by]->node->id());
    }));
  }
  template <typename Kind>
  std::size_t heard(std::size_t by) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        heard_, [&](const Heard& heard) { return heard.kind == Body(Kind{}).index() && heard.to == by; }));
  }
  template <typename Kind>
  const Kind* last_to(std::size_t to) const {
    return std::get_if<Kind>(&devices_[to]->last.body);
  }

  std::function<bool(const Message&)> passes = [](const Message&) { return true; };
  // Messages that are on their way until they are let go.
  std::function<bool(const Message&)> is_slow = [](const Message&) { return false; };
  void let_go() {
    is_slow = [](const Message&) { return false; };
    queue_.insert(queue_.end(), slow_.begin(), slow_.end());
    slow_.clear();
    run(20 * step);
  }

 private:
  struct Device {
    explicit Device(std::size_t i) : signatures(i + 1, kith::sim::Checking::on) {}
    kith::sim::SimSignatures signatures;
    MemoryStore disk;
    std::unique_ptr<Node> node;
    std::map<Ticket, Completion> done;
    Message last;  // that it was sent
  };
  struct Letter {
    NodeId from;
    NodeId to;
    Message message;
  };
  struct Heard {
    NodeId from;
    std::size_t to;
    std::size_t kind;
  };

  std::size_t number_of(const NodeId& node) {
    for (std::size_t i = 0; i < size(); ++i) {
      if (id(i) == node) return i;
    }
    return size();
  }

  template <typename Input>
  void with(std::size_t i, Input input) {
    Device& device = *devices_[i];
    Outputs out;
    input(*device.node, out);
    device.disk.commit();
    for (Send& send : out.sends) {
      if (!passes(send.message)) continue;
      auto& road = is_slow(send.message) ? slow_ : queue_;
      road.push_back({id(i), send.to, std::move(send.message)});
    }
    for (Completion& completion : out.completions) device.done.emplace(completion.ticket, std::move(completion));
  }
  void wake(std::size_t i) {
    const auto due = node(i).next_deadline();
    if (due && *due <= now_) with(i, [&](Node& woken, Outputs& out) { woken.on_deadline(now(), out); });
  }
  void deliver() {
    const Letter letter = std::move(queue_.front());
    queue_.pop_front();
    const std::size_t to = number_of(letter.to);
    heard_.push_back({letter.from, to, letter.message.body.index()});
    devices_[to]->last = letter.message;
    with(to, [&](Node& node, Outputs& out) { node.receive(now(), letter.from, letter.message, out); });
  }

  Instant now_{1s};
  std::vector<std::unique_ptr<Device>> devices_;
  std::deque<Letter> queue_;
  std::deque<Letter> slow_;
  std::vector<Heard> heard_;
};

}  // namespace reading_mesh

using ReadingMesh = reading_mesh::Mesh;

}  // namespace kith::test
