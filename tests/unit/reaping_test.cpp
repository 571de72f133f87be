// SPDX-License-Identifier: MIT
// Tombstones are forgotten when everybody agrees, and bring nothing back: five devices, three copies.
#include <deque>
#include <memory>
#include <set>

#include <catch2/catch.hpp>

#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "tests/sim/signatures.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

constexpr WallMs epoch_ms = 1'700'000'000'000;
constexpr Duration grace = 96s;
constexpr std::size_t size = 5;

class Mesh {
 public:
  Mesh() {
    for (std::size_t i = 0; i < size; ++i) {
      devices_.push_back(std::make_unique<Device>(i));
      boot(i);
    }
    for (std::size_t i = 1; i < size; ++i) {
      const std::array seed{id(0)};
      with(i, [&](Node& node, Outputs& out) { node.join(now(), seed, out); });
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
    with(i, [&](Node& node, Outputs& out) { node.start(now(), {}, out); });
  }
  void crash(std::size_t i) { devices_[i]->node.reset(); }
  void isolate(std::size_t i) { cut_off_.insert(i); }
  void reconnect() { cut_off_.clear(); }

  void put(std::size_t i, const std::string& key, EntryKind kind, std::uint64_t ttl_ms = 0) {
    with(i, [&](Node& node, Outputs& out) {
      PutRequest request;
      request.key = key;
      request.kind = kind;
      request.ttl_ms = ttl_ms;
      if (kind == EntryKind::value) request.value = {1, 2, 3};
      node.put(now(), std::move(request), out);
    });
    run(1s);
  }

  // The values that a client of this device is shown.
  std::size_t values_read(std::size_t i, const std::string& key) {
    GetRequest request;
    request.key = key;
    with(i, [&](Node& node, Outputs& out) { node.get(now(), request, out); });
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
  std::size_t no_replica_of(const std::string& key) {
    const auto replicas = replicas_of(key);
    std::size_t i = 0;
    while (std::ranges::find(replicas, i) != replicas.end()) ++i;
    return i;
  }

  NodeId id(std::size_t i) { return node_id_of(devices_[i]->signatures.signing_key()); }
  MemoryStore& disk(std::size_t i) { return devices_[i]->disk; }
  void say(std::size_t from, std::size_t to, Body body) {
    queue_.push_back({id(from), id(to), {.request_id = 77, .body = std::move(body)}});
  }

 private:
  struct Device {
    explicit Device(std::size_t i) : signatures(i + 1, sim::Checking::on) {
      options.departure_after = std::chrono::hours(1);
      options.tombstone_grace = grace;
    }
    sim::SimSignatures signatures;
    NodeOptions options;
    MemoryStore disk;
    std::unique_ptr<Node> node;
    Completion last;
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

  Now now() const { return {now_, epoch_ms + static_cast<WallMs>(now_.time_since_epoch().count() / 1000)}; }
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
    for (Send& send : out.sends) queue_.push_back({id(i), send.to, std::move(send.message)});
    for (Completion& completion : out.completions) devices_[i]->last = std::move(completion);
  }
  void wake(std::size_t i) {
    Device& device = *devices_[i];
    if (!device.node) return;
    const auto due = device.node->next_deadline();
    if (due && *due <= now_) with(i, [&](Node& node, Outputs& out) { node.on_deadline(now(), out); });
  }
  void deliver() {
    const Letter letter = std::move(queue_.front());
    queue_.pop_front();
    const std::size_t from = index_of(letter.from);
    const std::size_t to = index_of(letter.to);
    const bool is_cut = from != to && (cut_off_.contains(from) || cut_off_.contains(to));
    if (is_cut || !devices_[to]->node) return;
    with(to, [&](Node& node, Outputs& out) { node.receive(now(), letter.from, letter.message, out); });
  }

  Instant now_{1s};
  int boots_ = 0;
  std::set<std::size_t> cut_off_;
  std::deque<Letter> queue_;
  std::vector<std::unique_ptr<Device>> devices_;
};

const std::string name = "default/name";

}  // namespace

TEST_CASE("a tombstone is forgotten by all when its grace is over", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  mesh.put(1, name, EntryKind::tombstone);
  mesh.run(grace - 10s);
  CHECK(mesh.rows(name) >= 3);
  mesh.run(80s);
  CHECK(mesh.rows(name) == 0);
  CHECK(mesh.values_read(2, name) == 0);
}

// Found by seed 20152: the leader merged what it had read once into a later answer.
TEST_CASE("what members remember of their reads does not bring back what was reaped", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  for (std::size_t i = 0; i < size; ++i) CHECK(mesh.values_read(i, name) == 1);
  mesh.put(mesh.replicas_of(name).back(), name, EntryKind::tombstone);
  mesh.run(grace + 70s);
  REQUIRE(mesh.rows(name) == 0);
  for (std::size_t i = 0; i < size; ++i) CHECK(mesh.values_read(i, name) == 0);
}

TEST_CASE("an entry that expired is forgotten by all when the grace after that is over", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value, 20'000);
  mesh.run(grace);
  CHECK(mesh.rows(name) >= 3);
  mesh.run(100s);
  CHECK(mesh.rows(name) == 0);
}

TEST_CASE("a key that was written again after its deletion is not reaped", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::tombstone);
  mesh.run(grace - 20s);
  mesh.put(1, name, EntryKind::value);
  mesh.run(2 * grace);
  CHECK(mesh.values_read(2, name) == 1);
}

TEST_CASE("nothing is reaped while a member is away that may come back with an older copy", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  mesh.put(1, name, EntryKind::tombstone);
  mesh.run(60s);
  mesh.crash(mesh.no_replica_of(name));
  mesh.run(grace - 15s);
  CHECK(mesh.rows(name) >= 3);
  mesh.run(90s);
  CHECK(mesh.rows(name) <= 1);  // what the absent one has is there
}

TEST_CASE("a member that goes away while a round waits for it does not end reaping", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  mesh.put(1, name, EntryKind::tombstone);
  const std::size_t asked = mesh.no_replica_of(name);
  mesh.run_until_asked(asked, ReapStep::ask, grace + 20s);
  mesh.crash(asked);
  mesh.run(9s);  // less than a question waits for its answer
  mesh.boot(asked);
  mesh.run(60s);
  CHECK(mesh.rows(name) == 0);
}

TEST_CASE("a device that comes back after longer than the grace resurrects nothing", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  const std::size_t absent = mesh.replicas_of(name).back();
  const std::size_t present = mesh.replicas_of(name).front();
  mesh.crash(absent);
  mesh.run(20s);
  mesh.put(present, name, EntryKind::tombstone);
  mesh.run(2 * grace + 60s);

  SECTION("which the mesh waited for, since the set of replicas had it") { CHECK(mesh.rows_at(present, name) == 1); }
  mesh.boot(absent);
  mesh.run(30s);
  CHECK(mesh.values_read(absent, name) == 0);
  CHECK(mesh.values_read(present, name) == 0);
}

TEST_CASE("a copy of what was reaped meanwhile goes when its holder is back", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  mesh.run(5s);
  const std::size_t absent = mesh.no_replica_of(name);
  const Rows copy = mesh.disk(mesh.replicas_of(name).front()).read(hash_key(name)).rows;
  mesh.crash(absent);
  Rows stray;
  for (const Row& row : copy) stray.push_back({.record = row.record, .is_own = false, .is_replica = true});
  mesh.disk(absent).replace(hash_key(name), stray);
  mesh.disk(absent).commit();
  mesh.put(mesh.replicas_of(name).front(), name, EntryKind::tombstone);
  mesh.run(2 * grace + 60s);
  CHECK(mesh.rows(name) == stray.size());  // the others have forgotten all of it

  mesh.boot(absent);
  mesh.run(60s);
  CHECK(mesh.rows(name) == 0);
}

TEST_CASE("what a device wrote while nobody heard it survives an absence of longer than the grace", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  const std::size_t absent = mesh.no_replica_of(name);
  mesh.isolate(absent);
  mesh.run(30s);
  mesh.put(absent, name, EntryKind::value);
  mesh.crash(absent);
  mesh.reconnect();
  mesh.put(mesh.replicas_of(name).front(), name, EntryKind::tombstone);
  mesh.run(2 * grace + 60s);
  CHECK(mesh.rows(name) == mesh.rows_at(absent, name));

  mesh.boot(absent);
  mesh.run(60s);
  CHECK(mesh.values_read(mesh.replicas_of(name).front(), name) == 1);
}

TEST_CASE("whoever did not ask before cannot have a tombstone reaped", "[reaping][hostile]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::tombstone);
  mesh.run(5s);
  const std::size_t replica = mesh.replicas_of(name).front();
  const Rows& rows = mesh.disk(replica).read(hash_key(name)).rows;
  const KeyHash hash = hash_key(name);
  const ReapPartition all{.partition = static_cast<std::uint16_t>(partition_of(hash)),
                          .tally = 0,
                          .keys = {{.key = crypto::load_be64(hash.bytes.data()), .rows = digest_of(rows, DataKey{})}}};
  mesh.say(mesh.replicas_of(name).back(), replica, Reap{.step = ReapStep::commit, .partitions = {all}, .records = {}});
  mesh.run(5s);
  CHECK(mesh.rows_at(replica, name) == 1);
}

TEST_CASE("a tombstone whose grace is not over is not reaped, whoever asks", "[reaping][hostile]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::tombstone);
  mesh.run(5s);
  const std::size_t replica = mesh.replicas_of(name).front();
  const KeyHash hash = hash_key(name);
  const Rows& rows = mesh.disk(replica).read(hash).rows;
  const ReapPartition all{.partition = static_cast<std::uint16_t>(partition_of(hash)),
                          .tally = 0,
                          .keys = {{.key = crypto::load_be64(hash.bytes.data()), .rows = digest_of(rows, DataKey{})}}};
  for (const ReapStep step : {ReapStep::ask, ReapStep::commit}) {
    mesh.say(mesh.replicas_of(name).back(), replica, Reap{.step = step, .partitions = {all}, .records = {}});
    mesh.run(1s);
  }
  CHECK(mesh.rows_at(replica, name) == 1);
}

TEST_CASE("a stranger to the partition cannot have an author forget what it wrote", "[reaping][hostile]") {
  Mesh mesh;
  const std::size_t author = 0;
  mesh.put(author, name, EntryKind::value);
  mesh.put(1, name, EntryKind::tombstone);
  mesh.run(5s);
  const std::size_t rows = mesh.rows_at(author, name);
  std::vector<crypto::Bytes> records;
  for (const Row& row : mesh.disk(mesh.replicas_of(name).front()).read(hash_key(name)).rows) {
    records.push_back(row.record.bytes());
  }
  mesh.say(mesh.no_replica_of(name), author, Reap{.step = ReapStep::retire, .partitions = {}, .records = records});
  mesh.run(1s);
  CHECK(mesh.rows_at(author, name) == rows);
}

}  // namespace kith::dht
