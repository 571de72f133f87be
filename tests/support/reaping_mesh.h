// SPDX-License-Identifier: MIT
// Five devices with three copies of each key, and a grace that is over soon: for tests of reaping.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "tests/sim/signatures.h"

namespace kith::test::reaping {

using namespace dht;
using namespace std::chrono_literals;

inline constexpr WallMs epoch_ms = 1'700'000'000'000;
inline constexpr Duration grace = 96s;
inline constexpr std::size_t size = 5;
inline const std::string name = "default/name";

class Mesh {
 public:
  // Others take the place of one that was away for so long.
  explicit Mesh(Duration departure_after = std::chrono::hours(1)) {
    for (std::size_t i = 0; i < size; ++i) {
      devices_.push_back(std::make_unique<Device>(i, departure_after));
      boot(i);
    }
    for (std::size_t i = 1; i < size; ++i) {
      const std::array seed{id(0)};
      with(i, [&](Node& node, Outputs& out) { node.join(now(i), seed, out); });
    }
    run(10s);
  }

  void run(Duration duration) {
    for (const Instant end = now_ + duration; now_ < end;) step();
  }

  // Stops with the question on its way. Requires: it comes within that time.
  void run_until_asked(std::size_t i, ReapStep question, Duration at_most) {
    for (const Instant end = now_ + at_most; !is_asked(i, question); step()) REQUIRE(now_ < end);
  }

  void boot(std::size_t i) {
    Device& device = *devices_[i];
    const crypto::Hash256 seed{static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(++boots_)};
    device.node = std::make_unique<Node>(device.options, device.signatures, device.disk, seed);
    with(i, [&](Node& node, Outputs& out) { node.start(now(i), {}, out); });
  }
  void crash(std::size_t i) { devices_[i]->node.reset(); }
  void isolate(std::size_t i) { split({i}); }
  void split(std::set<std::size_t> half) { half_ = std::move(half); }
  void reconnect() { half_.clear(); }
  // Neither runs nor hears, and its clock of instants stands still.
  void suspend(std::size_t i) { devices_[i]->slept_at = now_; }
  void resume(std::size_t i) {
    devices_[i]->slept += now_ - *devices_[i]->slept_at;
    devices_[i]->slept_at.reset();
  }
  void set_clock(std::size_t i, Duration ahead) { devices_[i]->clock_ahead = ahead; }

  // Takes from the road what is under way of this step, to be delivered later.
  std::vector<std::function<void()>> withhold(ReapStep step) {
    std::vector<std::function<void()>> withheld;
    std::erase_if(queue_, [&](const Letter& letter) {
      const auto* reap = std::get_if<Reap>(&letter.message.body);
      if (reap == nullptr || reap->step != step) return false;
      withheld.emplace_back([this, letter] { queue_.push_back(letter); });
      return true;
    });
    return withheld;
  }

  void put(std::size_t i, const std::string& key, EntryKind kind, std::uint64_t ttl_ms = 0, Duration then = 1s) {
    with(i, [&](Node& node, Outputs& out) {
      PutRequest request;
      request.key = key;
      request.kind = kind;
      request.ttl_ms = ttl_ms;
      if (kind == EntryKind::value) request.value = {1, 2, 3};
      node.put(now(i), std::move(request), out);
    });
    run(then);
  }

  // The values that a client of this device is shown.
  std::size_t values_read(std::size_t i, const std::string& key) {
    GetRequest request;
    request.key = key;
    with(i, [&](Node& node, Outputs& out) { node.get(now(i), request, out); });
    run(3s);
    const auto* answer = std::get_if<ReadAnswer>(&devices_[i]->last.outcome);
    REQUIRE(answer != nullptr);
    return static_cast<std::size_t>(std::ranges::count(answer->values, EntryKind::value, &ReadValue::kind));
  }

  std::size_t rows_at(std::size_t i, const std::string& key) {
    return devices_[i]->disk.read(hash_key(key)).rows.size();
  }
  std::size_t rows(const std::string& key) {
    std::size_t rows = 0;
    for (std::size_t i = 0; i < size; ++i) rows += rows_at(i, key);
    return rows;
  }
  std::vector<std::size_t> replicas_of(const std::string& key) {
    std::vector<std::size_t> replicas;
    for (const NodeId& node : devices_[first_up()]->node->replicas_of(partition_of(hash_key(key)))) {
      for (std::size_t i = 0; i < size; ++i) {
        if (id(i) == node) replicas.push_back(i);
      }
    }
    return replicas;
  }
  // Another key of the same partition.
  static std::string neighbour_of(const std::string& key) {
    for (int i = 0;; ++i) {
      std::string other = "default/" + std::to_string(i);
      if (partition_of(hash_key(other)) == partition_of(hash_key(key))) return other;
    }
  }
  std::size_t no_replica_of(const std::string& key) {
    const auto replicas = replicas_of(key);
    std::size_t i = 0;
    while (std::ranges::find(replicas, i) != replicas.end()) ++i;
    return i;
  }

  // How often others were asked whether they are clear.
  std::size_t asked() const { return asked_; }
  std::function<bool(const Message&)> passes = [](const Message&) { return true; };

  NodeId id(std::size_t i) { return node_id_of(devices_[i]->signatures.signing_key()); }
  MemoryStore& disk(std::size_t i) { return devices_[i]->disk; }
  void say(std::size_t from, std::size_t to, Body body) {
    queue_.push_back({id(from), id(to), {.request_id = 77, .body = std::move(body)}});
  }

 private:
  struct Device {
    Device(std::size_t i, Duration departure_after) : signatures(i + 1, sim::Checking::on) {
      options.departure_after = departure_after;
      options.tombstone_grace = grace;
    }
    sim::SimSignatures signatures;
    NodeOptions options;
    MemoryStore disk;
    std::unique_ptr<Node> node;
    Completion last;
    Duration slept{};
    std::optional<Instant> slept_at;
    Duration clock_ahead{};
  };
  struct Letter {
    NodeId from;
    NodeId to;
    Message message;
  };

  void step() {
    for (std::size_t waiting = queue_.size(); waiting > 0; --waiting) deliver();
    for (std::size_t i = 0; i < size; ++i) wake(i);
    now_ += 10ms;
  }
  bool is_asked(std::size_t i, ReapStep question) {
    return std::ranges::any_of(queue_, [&](const Letter& letter) {
      const auto* reap = std::get_if<Reap>(&letter.message.body);
      return reap != nullptr && reap->step == question && letter.to == id(i);
    });
  }

  Now now(std::size_t i) const {
    const Device& device = *devices_[i];
    const Duration passed = now_.time_since_epoch() + device.clock_ahead;
    return {now_ - device.slept, epoch_ms + static_cast<WallMs>(passed.count() / 1000)};
  }
  std::size_t first_up() const {
    std::size_t i = 0;
    while (!devices_[i]->node) ++i;
    return i;
  }
  std::size_t index_of(const NodeId& node) {
    std::size_t i = 0;
    while (id(i) != node) ++i;
    return i;
  }

  template <typename Input>
  void with(std::size_t i, const Input& input) {
    Outputs out;
    input(*devices_[i]->node, out);
    devices_[i]->disk.commit();
    for (Send& send : out.sends) {
      const auto* reap = std::get_if<Reap>(&send.message.body);
      asked_ += reap != nullptr && reap->step == ReapStep::ask ? 1 : 0;
      queue_.push_back({id(i), send.to, std::move(send.message)});
    }
    for (Completion& completion : out.completions) devices_[i]->last = std::move(completion);
  }
  void wake(std::size_t i) {
    Device& device = *devices_[i];
    if (!device.node || device.slept_at) return;
    const auto due = device.node->next_deadline();
    if (due && *due <= now(i).instant) with(i, [&](Node& node, Outputs& out) { node.on_deadline(now(i), out); });
  }
  void deliver() {
    const Letter letter = std::move(queue_.front());
    queue_.pop_front();
    const std::size_t from = index_of(letter.from);
    const std::size_t to = index_of(letter.to);
    const bool is_cut = half_.contains(from) != half_.contains(to);
    if (is_cut || !passes(letter.message) || !devices_[to]->node || devices_[to]->slept_at) return;
    with(to, [&](Node& node, Outputs& out) { node.receive(now(to), letter.from, letter.message, out); });
  }

  Instant now_{1s};
  int boots_ = 0;
  std::size_t asked_ = 0;
  std::set<std::size_t> half_;  // cut off from the other
  std::deque<Letter> queue_;
  std::vector<std::unique_ptr<Device>> devices_;
};

}  // namespace kith::test::reaping
