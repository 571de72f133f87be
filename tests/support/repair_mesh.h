// SPDX-License-Identifier: MIT
// Nodes that hear each other after a millisecond, and their disks: for tests of how data heals.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dht/consensus/configurations.h"
#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "tests/sim/signatures.h"

namespace kith::test {

using namespace dht;
using namespace std::chrono_literals;

inline constexpr WallMs repair_epoch_ms = 1'700'000'000'000;

class RepairMesh {
 public:
  explicit RepairMesh(std::size_t size, std::size_t bytes_per_second = limits::repair_bytes_per_second) {
    for (std::size_t i = 0; i < size; ++i) {
      devices_.push_back(std::make_unique<Device>(i));
      devices_[i]->options.repair_bytes_per_second = bytes_per_second;
    }
    // The first one founds the mesh: what it holds at the start is all there is.
    if (size == 0) return;
    found_mesh(disk(0), id(0), crypto::Rng(crypto::ByteArray<32>{1}), now().wall_ms);
    disk(0).commit();
  }

  // A record of nobody's here, as a replica's row.
  Record record(const std::string& key, std::string_view value, const VersionVector& context = {},
                std::uint64_t author = 99, WallMs ahead_ms = 0) {
    const sim::SimSignatures signatures(author, sim::Checking::on);
    const Seq seq = seq_at(repair_epoch_ms + ahead_ms) + ++last_;
    const Entry entry{.seq = seq, .bytes = crypto::as_bytes(value)};
    return Record::sign({.key = key,
                         .actor = {signatures.signing_key(), 1},
                         .seq = seq,
                         .context = &context,
                         .entries = std::span(&entry, 1)},
                        signatures);
  }
  void keep(std::size_t device, const Record& record) {
    Rows rows = disk(device).read(record.key_hash()).rows;
    merge_record(rows, record);
    disk(device).replace(record.key_hash(), std::move(rows));
    disk(device).commit();
  }

  void start() {
    for (auto& device : devices_) boot(*device);
    for (std::size_t i = 1; i < devices_.size(); ++i) {
      const std::array seed{devices_[0]->node->id()};
      Outputs out;
      devices_[i]->node->join(now(), seed, out);
      take(*devices_[i], out);
    }
  }

  // A write of the device's client.
  void put(std::size_t device, const std::string& name, std::string_view value) {
    PutRequest request;
    request.key = name;
    request.value.assign(value.begin(), value.end());
    write(device, std::move(request));
  }
  void write(std::size_t device, PutRequest request) {
    Outputs out;
    node(device).put(now(), std::move(request), out);
    take(*devices_[device], out);
  }

  void set_policy(std::size_t device, const PolicyRequest& request) {
    Outputs out;
    node(device).set_policy(now(), request, out);
    take(*devices_[device], out);
  }
  // What clients were answered since the last look, at any device.
  std::vector<Completion> take_completions() { return std::exchange(completions_, {}); }

  // For its next start.
  NodeOptions& options(std::size_t device) { return devices_[device]->options; }
  void stop(std::size_t device) { devices_[device]->node.reset(); }
  // Every device sleeps: of all its clocks only the wall clock goes on.
  void sleep(Duration duration) { slept_ += duration; }
  std::function<bool(const NodeId& from, const NodeId& to, const Message& message)> passes =
      [](const NodeId&, const NodeId&, const Message&) { return true; };

  void restart(std::size_t device) {
    devices_[device]->node.reset();
    boot(*devices_[device]);
  }
  void restart_with(std::size_t device, MemoryStore::Tables tables) {
    devices_[device]->node.reset();
    disk(device).restore(std::move(tables));
    boot(*devices_[device]);
  }
  // Its disk is gone, and nothing tells it where the others are.
  void restart_without_disk(std::size_t device) {
    devices_[device]->node.reset();
    devices_[device]->disk = std::make_unique<MemoryStore>();
    boot(*devices_[device]);
  }

  void run(Duration duration) {
    for (const Instant end = now_ + duration; now_ < end; now_ += 1ms) {
      for (std::size_t waiting = queue_.size(); waiting > 0; --waiting) deliver();
      for (auto& device : devices_) wake(*device);
    }
  }

  // What the device answers another one that fetches this.
  std::vector<FetchAnswer> ask(std::size_t device, const Fetch& question) {
    return ask(device, question, device == 0 ? 1 : 0);
  }
  std::vector<FetchAnswer> ask(std::size_t device, const Fetch& question, std::size_t asker) {
    Outputs out;
    const NodeId& from = devices_[asker]->node->id();
    node(device).receive(now(), from, {.request_id = 1, .body = question}, out);
    return std::get<FetchReply>(out.sends.back().message.body).answers;
  }
  FetchAnswer ask(std::size_t device, const std::string& name) {
    return ask(device, Fetch{FetchForm::digest, {hash_key(name)}, {}}).at(0);
  }
  std::vector<FetchAnswer> ask_each(std::size_t device, const std::vector<KeyHash>& keys) {
    Fetch question{.form = FetchForm::ranges, .keys = {}};
    for (const KeyHash& key : keys) question.ranges.push_back({beginning_of(key), beginning_of(key)});
    return ask(device, question);
  }

  std::size_t size() const { return devices_.size(); }
  MemoryStore& disk(std::size_t device) { return *devices_[device]->disk; }
  Node& node(std::size_t device) { return *devices_[device]->node; }
  Now now() const {
    return {now_, repair_epoch_ms + 1000 + static_cast<WallMs>((now_ + slept_).time_since_epoch().count() / 1000)};
  }
  std::size_t messages_of_repair() const { return messages_of_repair_; }
  std::size_t items_asked_for() const { return items_asked_for_; }
  std::size_t stores() const { return stores_; }
  NodeId id(std::size_t device) const { return node_id_of(devices_[device]->signatures.signing_key()); }

  bool are_equal() {
    for (const auto& device : devices_) {
      for (const KeyHash& key : device->disk->keys_after(std::nullopt)) {
        for (const auto& other : devices_) {
          if (other->disk->read(key).rows != device->disk->read(key).rows) return false;
        }
      }
    }
    return true;
  }

 private:
  struct Device {
    explicit Device(std::size_t i) : index(i), signatures(i + 1, sim::Checking::on) {}
    std::size_t index;
    sim::SimSignatures signatures;
    NodeOptions options;
    std::unique_ptr<MemoryStore> disk = std::make_unique<MemoryStore>();
    std::unique_ptr<Node> node;
  };
  struct Letter {
    NodeId from;
    NodeId to;
    Message message;
  };

  void boot(Device& device) {
    crypto::Hash256 seed{static_cast<std::uint8_t>(device.index)};
    device.node = std::make_unique<Node>(device.options, device.signatures, *device.disk, seed);
    Outputs out;
    device.node->start(now(), {}, out);
    take(device, out);
  }
  void wake(Device& device) {
    const auto due = device.node ? device.node->next_deadline() : std::nullopt;
    if (!due || *due > now_) return;
    Outputs out;
    device.node->on_deadline(now(), out);
    take(device, out);
  }
  void take(Device& device, Outputs& out) {
    device.disk->commit();
    std::ranges::move(out.completions, std::back_inserter(completions_));
    for (Send& send : out.sends) {
      const auto& body = send.message.body;
      messages_of_repair_ += std::holds_alternative<Compare>(body) || std::holds_alternative<Items>(body) ? 1 : 0;
      stores_ += std::holds_alternative<Store>(body) ? 1 : 0;
      items_asked_for_ += std::holds_alternative<Items>(body) ? 1 : 0;
      if (!passes(device.node->id(), send.to, send.message)) continue;
      queue_.push_back({device.node->id(), send.to, std::move(send.message)});
    }
  }
  void deliver() {
    const Letter letter = std::move(queue_.front());
    queue_.pop_front();
    for (auto& device : devices_) {
      if (!device->node || device->node->id() != letter.to) continue;
      Outputs out;
      device->node->receive(now(), letter.from, letter.message, out);
      take(*device, out);
    }
  }

  Instant now_{1s};
  Duration slept_{};
  Seq last_ = 0;
  std::vector<std::unique_ptr<Device>> devices_;
  std::deque<Letter> queue_;
  std::vector<Completion> completions_;
  std::size_t messages_of_repair_ = 0;
  std::size_t items_asked_for_ = 0;
  std::size_t stores_ = 0;
};

}  // namespace kith::test
