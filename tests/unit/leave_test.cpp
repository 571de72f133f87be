// SPDX-License-Identifier: MIT
// A device leaves a mesh for good, in a simulated mesh under load.
#include <deque>
#include <memory>

#include <catch2/catch.hpp>

#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "tests/sim/signatures.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

// Nodes that hear each other after a millisecond. Keys are written all the time, through one of them after the other.
class Mesh {
 public:
  explicit Mesh(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      devices_.push_back(std::make_unique<Device>(i));
      boot(i);
    }
    for (std::size_t i = 1; i < size; ++i) {
      const std::array seed{devices_[0]->node->id()};
      with(i, [&](Node& node, Outputs& out) { node.join(now(), seed, out); });
    }
    run(5s);
  }

  void run(Duration duration) {
    for (const Instant end = now_ + duration; now_ < end; now_ += 1ms) {
      for (std::size_t waiting = queue_.size(); waiting > 0; --waiting) deliver();
      for (std::size_t i = 0; i < devices_.size(); ++i) wake(i);
    }
  }

  // One key every 20 ms.
  void run_under_load(Duration duration) {
    for (const Instant end = now_ + duration; now_ < end; run(20ms)) write_one();
  }

  void write_at(std::size_t i) {
    PutRequest put;
    put.key = "default/" + std::to_string(writes_);
    put.value = {1, 2, 3};
    with(i, [&](Node& node, Outputs& out) { devices_[i]->asked[node.put(now(), put, out)] = put.key; });
  }
  void lose_stores(bool are_lost) { stores_are_lost_ = are_lost; }

  void boot(std::size_t i) {
    Device& device = *devices_[i];
    const crypto::Hash256 seed{static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(++boots_)};
    device.node = std::make_unique<Node>(device.options, device.signatures, device.disk, seed);
    with(i, [&](Node& node, Outputs& out) { node.start(now(), {}, out); });
  }
  void crash(std::size_t i) { devices_[i]->node.reset(); }
  // Requires: no device is up.
  void let_pass(std::chrono::hours time) { epoch_ms_ += static_cast<WallMs>(time / 1ms); }

  Status leave(std::size_t i) {
    Status status = Done{};
    with(i, [&](Node& node, Outputs& out) { status = node.leave(now(), out); });
    devices_[i]->options.is_leaving = status.has_value();
    return status;
  }
  void stay(std::size_t i) {
    devices_[i]->options.is_leaving = false;
    with(i, [&](Node& node, Outputs& out) { node.stay(now(), out); });
  }

  MemoryStore& disk(std::size_t i) { return devices_[i]->disk; }
  Node& node(std::size_t i) { return *devices_[i]->node; }
  bool has_left(std::size_t i) { return node(i).leave_progress().stage == Leaving::Stage::left; }

  std::size_t copies_at(std::size_t i) {
    std::size_t copies = 0;
    for (const KeyHash& key : devices_[i]->disk.keys_after(std::nullopt)) {
      for (const Row& row : devices_[i]->disk.read(key).rows) copies += row.is_replica ? 1 : 0;
    }
    return copies;
  }

  // Acknowledged keys that not every replica of the key holds, as node i sees it.
  std::size_t acknowledged() const { return acknowledged_.size(); }
  std::size_t keys_lacking(std::size_t i) {
    std::size_t lacking = 0;
    for (const std::string& key : acknowledged_) {
      const KeyHash hash = hash_key(key);
      for (const NodeId& replica : node(i).replicas_of(partition_of(hash))) {
        const auto rows = device_of(replica).disk.read(hash).rows;
        if (std::ranges::any_of(rows, &Row::is_replica)) continue;
        lacking += 1;
        break;
      }
    }
    return lacking;
  }

 private:
  struct Device {
    explicit Device(std::size_t i) : signatures(i + 1, sim::Checking::on) {
      options.departure_after = std::chrono::hours(1);
    }
    sim::SimSignatures signatures;
    NodeOptions options;
    MemoryStore disk;
    std::unique_ptr<Node> node;
    std::map<Ticket, std::string> asked;
  };
  struct Letter {
    NodeId from;
    NodeId to;
    Message message;
  };

  Now now() const { return {now_, epoch_ms_ + static_cast<WallMs>(now_.time_since_epoch().count() / 1000)}; }
  Device& device_of(const NodeId& id) {
    return **std::ranges::find_if(devices_,
                                  [&](const auto& d) { return node_id_of(d->signatures.signing_key()) == id; });
  }
  // The daemon of a node that has left has ended.
  bool is_up(std::size_t i) { return devices_[i]->node != nullptr && !has_left(i); }

  template <typename Input>
  void with(std::size_t i, Input input) {
    Device& device = *devices_[i];
    Outputs out;
    input(*device.node, out);
    device.disk.commit();
    for (Send& send : out.sends) {
      const bool is_lost = stores_are_lost_ && std::holds_alternative<Store>(send.message.body);
      if (!is_lost) queue_.push_back({device.node->id(), send.to, std::move(send.message)});
    }
    for (const Completion& completion : out.completions) {
      const auto asked = device.asked.extract(completion.ticket);
      if (asked && std::holds_alternative<Receipt>(completion.outcome)) acknowledged_.push_back(asked.mapped());
    }
  }
  void wake(std::size_t i) {
    if (!is_up(i)) return;
    const auto due = node(i).next_deadline();
    if (due && *due <= now_) with(i, [&](Node& woken, Outputs& out) { woken.on_deadline(now(), out); });
  }
  void deliver() {
    const Letter letter = std::move(queue_.front());
    queue_.pop_front();
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      if (!is_up(i) || node(i).id() != letter.to) continue;
      with(i, [&](Node& to, Outputs& out) { to.receive(now(), letter.from, letter.message, out); });
    }
  }
  void write_one() {
    const std::size_t i = ++writes_ % devices_.size();
    if (is_up(i)) write_at(i);
  }

  WallMs epoch_ms_ = 1'700'000'000'000;
  Instant now_{1s};
  std::vector<std::unique_ptr<Device>> devices_;
  std::deque<Letter> queue_;
  std::vector<std::string> acknowledged_;
  std::size_t writes_ = 0;
  bool stores_are_lost_ = false;
  std::size_t boots_ = 0;
};

}  // namespace

TEST_CASE("a device that leaves under load holds nothing in the end, and every acknowledged value is still there",
          "[leave]") {
  Mesh mesh(5);
  mesh.run_under_load(5s);
  REQUIRE(mesh.copies_at(2) > 0);
  REQUIRE(mesh.leave(2));
  mesh.run_under_load(1s);
  CHECK(mesh.node(2).leave_progress().records == mesh.copies_at(2));
  mesh.run_under_load(60s);
  CHECK(mesh.has_left(2));
  CHECK(mesh.copies_at(2) == 0);
  mesh.run(10s);
  CHECK(mesh.acknowledged() > 1000);
  CHECK(mesh.keys_lacking(0) == 0);
  for (const Member* member : mesh.node(0).members()) {
    if (member->contact.id == mesh.node(2).id()) CHECK(member->state == MemberState::dead);
  }
}

TEST_CASE("a device that loses power while it leaves goes on leaving", "[leave]") {
  Mesh mesh(5);
  mesh.run_under_load(5s);
  const std::size_t before = mesh.copies_at(2);
  REQUIRE(mesh.leave(2));
  for (int i = 0; i < 5000 && mesh.copies_at(2) == before; ++i) mesh.run(4ms);
  mesh.crash(2);
  REQUIRE(mesh.copies_at(2) > 0);  // in the middle of it
  REQUIRE(mesh.copies_at(2) < before);
  mesh.run_under_load(3s);
  mesh.boot(2);
  CHECK(mesh.node(2).self().weight == 0);
  mesh.run(40s);
  CHECK(mesh.has_left(2));
  CHECK(mesh.copies_at(2) == 0);
  CHECK(mesh.keys_lacking(0) == 0);
}

TEST_CASE("while a member that is to take over is away the leaving waits for it, and says so", "[leave]") {
  Mesh mesh(4);
  mesh.run_under_load(3s);
  const NodeId away = mesh.node(1).id();
  mesh.crash(1);
  mesh.run(20s);
  REQUIRE(mesh.leave(2));
  mesh.run(60s);
  CHECK_FALSE(mesh.has_left(2));
  CHECK(mesh.node(2).leave_progress().waits_for == std::vector{away});
  CHECK(mesh.node(2).leave_progress().records > 0);
  mesh.boot(1);
  mesh.run(60s);
  CHECK(mesh.has_left(2));
  CHECK(mesh.keys_lacking(0) == 0);
}

TEST_CASE("a leaving device waits for what it has told to nobody", "[leave]") {
  Mesh mesh(3);
  REQUIRE(mesh.node(2).leave_progress().outbox == 0);
  mesh.disk(2).outbox_add(hash_key("default/untold"), mesh.node(2).id());
  CHECK(mesh.node(2).leave_progress().outbox == 1);
}

TEST_CASE("a leaving device waits while its disk does not tell what others are to be given", "[leave]") {
  Mesh mesh(3);
  mesh.disk(2).outbox_add(hash_key("default/untold"), mesh.node(2).id());
  mesh.disk(2).commit();
  mesh.disk(2).fail_reads();
  REQUIRE(mesh.leave(2));
  mesh.run(20s);
  CHECK_FALSE(mesh.has_left(2));
  mesh.disk(2).heal_reads();
  mesh.run(20s);
  CHECK(mesh.has_left(2));
}

TEST_CASE("who takes the leaving back is filled again", "[leave]") {
  Mesh mesh(5);
  mesh.run_under_load(5s);
  const std::size_t before = mesh.copies_at(2);
  REQUIRE(mesh.leave(2));
  for (int i = 0; i < 300 && mesh.copies_at(2) >= before; ++i) mesh.run_under_load(100ms);
  REQUIRE(mesh.copies_at(2) < before);
  REQUIRE_FALSE(mesh.has_left(2));
  mesh.stay(2);
  CHECK(mesh.node(2).self().weight == 1);
  mesh.run(60s);
  CHECK_FALSE(mesh.has_left(2));
  CHECK(mesh.copies_at(2) > before);
  CHECK(mesh.keys_lacking(0) == 0);
  CHECK(mesh.keys_lacking(2) == 0);
}

TEST_CASE("who was away while a member left, and all others restarted, does not bring it back", "[leave]") {
  Mesh mesh(5);
  const NodeId left = mesh.node(2).id();
  mesh.crash(4);
  mesh.run(20s);
  REQUIRE(mesh.leave(2));
  mesh.run(20s);
  REQUIRE(mesh.has_left(2));
  for (const std::size_t i : {0U, 1U, 3U}) mesh.crash(i);
  for (const std::size_t i : {0U, 1U, 3U, 4U}) mesh.boot(i);
  mesh.run(30s);
  for (const std::size_t i : {0U, 1U, 3U, 4U}) {
    for (Partition partition = 0; partition < 1U << partition_bits; partition += 257) {
      const auto& replicas = mesh.node(i).replicas_of(partition);
      REQUIRE(std::ranges::find(replicas, left) == replicas.end());
    }
  }
}

TEST_CASE("whoever leaves waits for a write under way, and no longer than a minute for one that never ends",
          "[leave]") {
  Leaving leaving;
  leaving.begin(Instant(1s));
  leaving.note_rest(Instant(12s), true);
  CHECK_FALSE(leaving.may_finish(Instant(12s), true));
  CHECK(leaving.may_finish(Instant(12s), false));
  CHECK_FALSE(leaving.may_finish(Instant(71s), true));
  CHECK(leaving.may_finish(Instant(72s), true));
  leaving.note_rest(Instant(73s), false);
  leaving.note_rest(Instant(74s), true);
  CHECK_FALSE(leaving.may_finish(Instant(133s), true));
}

TEST_CASE("a device that writes does not leave before the write has ended", "[leave]") {
  Mesh mesh(3);
  REQUIRE(mesh.leave(2));
  mesh.run(9800ms);
  mesh.lose_stores(true);
  mesh.write_at(2);
  mesh.run(450ms);
  CHECK_FALSE(mesh.has_left(2));
  mesh.lose_stores(false);
  mesh.run(20s);
  CHECK(mesh.has_left(2));
}

TEST_CASE("that a member has left is remembered for 90 days", "[leave]") {
  Mesh mesh(3);
  const NodeId left = mesh.node(2).id();
  REQUIRE(mesh.leave(2));
  mesh.run(20s);
  REQUIRE(mesh.has_left(2));
  const auto knows_it = [&] {
    mesh.crash(0);
    mesh.boot(0);
    return std::ranges::any_of(mesh.node(0).members(), [&](const Member* m) { return m->contact.id == left; });
  };
  mesh.crash(0);
  mesh.crash(1);
  mesh.let_pass(std::chrono::hours(89 * 24));
  CHECK(knows_it());
  mesh.crash(0);
  mesh.let_pass(std::chrono::hours(2 * 24));
  CHECK_FALSE(knows_it());
}

TEST_CASE("a device that is alone cannot leave, nor one whose last companion is away", "[leave]") {
  Mesh alone(1);
  CHECK(alone.leave(0).error().code == ErrorCode::denied);
  Mesh pair(2);
  pair.crash(1);
  pair.run(30s);
  CHECK(pair.leave(0).error().code == ErrorCode::denied);
  CHECK(pair.node(0).self().weight == 1);
}

TEST_CASE("where all leave at once nobody does, and nothing is lost", "[leave]") {
  Mesh mesh(2);
  mesh.run_under_load(2s);
  REQUIRE(mesh.leave(0));
  REQUIRE(mesh.leave(1));
  mesh.run(60s);
  CHECK_FALSE(mesh.has_left(0));
  CHECK_FALSE(mesh.has_left(1));
  CHECK(mesh.copies_at(0) >= mesh.acknowledged());
  mesh.stay(0);
  mesh.run(60s);
  CHECK(mesh.has_left(1));
  CHECK(mesh.keys_lacking(0) == 0);
}

}  // namespace kith::dht
