// SPDX-License-Identifier: MIT
// Keys that many read, in a mesh of nodes that hear each other.
#include <deque>
#include <map>
#include <memory>

#include <catch2/catch.hpp>

#include "dht/model/key.h"
#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "dht/replication/placement.h"
#include "tests/sim/signatures.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

constexpr Duration step = 2ms;  // a message takes one

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
    explicit Device(std::size_t i) : signatures(i + 1, sim::Checking::on) {}
    sim::SimSignatures signatures;
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
    heard_.push_back({letter.from, letter.message.body.index()});
    devices_[to]->last = letter.message;
    with(to, [&](Node& node, Outputs& out) { node.receive(now(), letter.from, letter.message, out); });
  }

  Instant now_{1s};
  std::vector<std::unique_ptr<Device>> devices_;
  std::deque<Letter> queue_;
  std::deque<Letter> slow_;
  std::vector<Heard> heard_;
};

}  // namespace

TEST_CASE("a key that many read is shown as it was read lately, where its namespace says so", "[hot]") {
  Mesh mesh;
  mesh.put(0, "one");
  CHECK_FALSE(mesh.read(1).age);
  mesh.read_much();
  const std::size_t fetches = mesh.said<Fetch>();
  for (std::size_t i = 0; i < mesh.size(); ++i) {
    const ReadAnswer shown = mesh.read(i);
    REQUIRE(shown.age);
    CHECK(*shown.age < limits::lease_life);
    CHECK(shown.replies == shown.wanted);
    CHECK(mesh.value(i) == "one");
  }
  CHECK(mesh.said<Fetch>() < fetches + 2 * mesh.size());
}

TEST_CASE("where the namespace does not say so each read asks the replicas", "[hot]") {
  Mesh mesh(5, Cache::around);
  mesh.put(0, "one");
  mesh.read_much();
  const std::size_t fetches = mesh.said<Fetch>();
  for (std::size_t i = 0; i < mesh.size(); ++i) CHECK_FALSE(mesh.read(i).age);
  CHECK(mesh.said<Fetch>() >= fetches + mesh.size());
  CHECK(mesh.said<LeaseNotice>() == 0);
}

TEST_CASE("a read that says how many replicas are to answer asks them", "[hot]") {
  Mesh mesh;
  mesh.put(0, "one");
  mesh.read_much();
  const Ticket ticket = mesh.get(1, 2);
  mesh.run(20 * step);
  CHECK_FALSE(mesh.answer(1, ticket).age);
}

TEST_CASE("a write ends the leases: whoever reads next is shown it", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  mesh.outsider();
  mesh.put(3, "two");
  mesh.run(20 * step);
  for (std::size_t i = 0; i < mesh.size(); ++i) CHECK(mesh.value(i) == "two");
}

TEST_CASE("where the notice of a write is lost what was there is shown no longer than the lease", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.passes = [](const Message& message) { return !std::holds_alternative<LeaseNotice>(message.body); };
  for (const std::string now : {"two", "three", "four", "five"}) {
    mesh.put(outsider == 3 ? 4 : 3, now);
    if (now == "two") CHECK(mesh.value(outsider) == "one");
    mesh.read_much(limits::lease_life);
    for (std::size_t i = 0; i < mesh.size(); ++i) CHECK(mesh.value(i) == now);
  }
}

TEST_CASE("who writes a key that it holds a lease of reads what it wrote", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.passes = [](const Message& message) { return !std::holds_alternative<LeaseNotice>(message.body); };
  mesh.put(outsider, "two");
  CHECK(mesh.value(outsider) == "two");
}

TEST_CASE("those who read a hot key at once wait for one read of it", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  const std::size_t leases = mesh.said<Lease>(outsider);
  const std::size_t fetches = mesh.said<Fetch>(outsider);
  std::vector<Ticket> tickets;
  for (int i = 0; i < 50; ++i) tickets.push_back(mesh.get(outsider));
  mesh.run(20 * step);
  for (const Ticket ticket : tickets) CHECK(mesh.answer(outsider, ticket).values.size() == 1);
  CHECK(mesh.said<Lease>(outsider) == leases + 1);
  CHECK(mesh.said<Fetch>(outsider) == fetches);
}

TEST_CASE("where a lender does not answer the replicas are asked", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  mesh.passes = [](const Message& message) { return !std::holds_alternative<Lease>(message.body); };
  const Ticket ticket = mesh.get(outsider);
  mesh.run(1s);
  CHECK(mesh.answer(outsider, ticket).values.size() == 1);
}

TEST_CASE("a read that takes too long is answered when its time is over", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  mesh.passes = [](const Message& message) {
    return !std::holds_alternative<Lease>(message.body) && !std::holds_alternative<Fetch>(message.body);
  };
  const Ticket ticket = mesh.get(outsider);
  mesh.run(limits::request_deadline_default + 2 * step);
  CHECK(mesh.is_done(outsider, ticket));
}

TEST_CASE("who waits less long than others for the same read is told when its own time is over", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  mesh.passes = [](const Message& message) { return !std::holds_alternative<Lease>(message.body); };
  mesh.is_slow = [](const Message& message) { return std::holds_alternative<Fetch>(message.body); };
  const Ticket patient = mesh.get(outsider);
  const Ticket hurried = mesh.get(outsider, std::nullopt, 100ms);
  mesh.run(100ms + 2 * step);
  CHECK(mesh.is_done(outsider, hurried));
  CHECK_FALSE(mesh.is_done(outsider, patient));
}

TEST_CASE("a read that was given up is not answered", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  const Ticket ticket = mesh.get(outsider);
  mesh.node(outsider).cancel(ticket);
  mesh.run(3s);
  CHECK_FALSE(mesh.is_done(outsider, ticket));
}

TEST_CASE("only a lender of a key ends a lease of it", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  REQUIRE(mesh.read(outsider).age);
  const LeaseNotice over{.key = hash_key("default/a"), .spread = 0};
  REQUIRE(mesh.read(mesh.replica()).age);
  mesh.say(outsider, mesh.replica(), {.request_id = 0, .body = over, .gossip = {}});
  const std::size_t fetches = mesh.said<Fetch>(mesh.replica());
  mesh.read(mesh.replica());
  CHECK(mesh.said<Fetch>(mesh.replica()) == fetches);
  mesh.say(mesh.replica(), outsider, {.request_id = 0, .body = over, .gossip = {}});
  const std::size_t leases = mesh.said<Lease>(outsider);
  mesh.read(outsider);
  CHECK(mesh.said<Lease>(outsider) == leases + 1);
}

TEST_CASE("nothing is lent of a namespace that does not say so", "[hot]") {
  Mesh mesh(5, Cache::around);
  mesh.put(0, "one");
  const std::size_t replica = mesh.replica();
  const std::size_t asker = replica == 0 ? 1 : 0;
  mesh.say(asker, replica,
           {.request_id = 77, .body = Lease{.key = "default/a", .reads = 1, .spread = 3}, .gossip = {}});
  const auto* reply = mesh.last_to<LeaseReply>(asker);
  REQUIRE(reply != nullptr);
  CHECK(reply->records.empty());
}

TEST_CASE("a key that is no longer read much is asked for at the replicas again", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(3 * limits::lease_life);
  CHECK(mesh.read(outsider).age);  // it has not heard yet
  mesh.run(limits::lease_life);
  CHECK_FALSE(mesh.read(outsider).age);
}

TEST_CASE("which keys are read most is told by name, and how many lend them", "[hot]") {
  Mesh mesh;
  mesh.put(0, "one");
  mesh.read_much();
  const auto keys = mesh.node(mesh.replica()).hot_keys(mesh.now(), 3);
  REQUIRE(keys.size() == 1);
  CHECK(keys.front().name == "default/a");
  CHECK(keys.front().reads >= 8);
  CHECK(keys.front().lenders >= 3);
  CHECK(keys.front().is_held);
}

TEST_CASE("whose notice that a key is hot was lost is told again while it goes on reading", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  mesh.passes = [](const Message& message) { return !std::holds_alternative<LeaseNotice>(message.body); };
  mesh.read_much();
  mesh.passes = [](const Message&) { return true; };
  REQUIRE(mesh.said<Lease>(mesh.far_away()) == 0);
  mesh.read_much(limits::lease_life + 4s);
  CHECK(mesh.said<Lease>(mesh.far_away()) > 0);
}

TEST_CASE("where there is one replica what it holds is shown", "[hot]") {
  Mesh mesh(20, Cache::through, 1);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  CHECK(mesh.value(outsider) == "one");
  mesh.put(0, "two");
  mesh.run(20 * step);
  CHECK(mesh.value(outsider) == "two");
}

TEST_CASE("who writes a key while it is read, and reads again, is shown what it wrote", "[hot]") {
  Mesh mesh;
  mesh.put(0, "none");
  mesh.read_much();
  mesh.put(0, "one");  // which ends what is held
  const std::size_t replica = mesh.replica();
  mesh.is_slow = [](const Message& message) { return std::holds_alternative<FetchReply>(message.body); };
  const Ticket before = mesh.get(replica);
  mesh.run(2 * step);
  mesh.put(replica, "two");
  const Ticket after = mesh.get(replica);
  mesh.let_go();
  CHECK(mesh.is_done(replica, before));
  CHECK(mesh.text(mesh.answer(replica, after)) == "two");
}

TEST_CASE("where too few replicas answer in time what there is is shown, and said to be too little", "[hot]") {
  Mesh mesh;
  mesh.put(0, "none");
  mesh.read_much();
  mesh.put(0, "one");  // which ends what is held
  const std::size_t replica = mesh.replica();
  mesh.passes = [](const Message& message) { return !std::holds_alternative<FetchReply>(message.body); };
  const Ticket ticket = mesh.get(replica);
  mesh.run(limits::request_deadline_default + 2 * step);
  CHECK(mesh.answer(replica, ticket).degraded);
  CHECK(mesh.text(mesh.answer(replica, ticket)) == "one");
}

TEST_CASE("a client in a hurry is answered by the replicas where its lender is silent", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  mesh.passes = [](const Message& message) { return !std::holds_alternative<Lease>(message.body); };
  const Ticket ticket = mesh.get(outsider, std::nullopt, 400ms);
  mesh.run(400ms + 2 * step);
  CHECK(mesh.text(mesh.answer(outsider, ticket)) == "one");
}

TEST_CASE("what a lender showed is not taken for what replicas showed", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  const Ticket read = mesh.get(outsider, 3);
  mesh.run(20 * step);
  REQUIRE(mesh.text(mesh.answer(outsider, read)) == "one");
  mesh.put(outsider == 3 ? 4 : 3, "two");
  const ReadAnswer lent = mesh.read(outsider);
  REQUIRE(lent.age);
  REQUIRE(mesh.text(lent) == "two");
  mesh.forget();
  const Ticket ticket = mesh.get(outsider, 3);
  mesh.run(20 * step);
  CHECK(mesh.text(mesh.answer(outsider, ticket)) == "one");  // which it read of them: that would be repaired
}

TEST_CASE("a lease counts from when its lender read, not from when it was given", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "none");
  const std::size_t outsider = mesh.outsider();
  mesh.put(outsider == 3 ? 4 : 3, "one");  // which ends what is held
  for (std::size_t i = 0; i < mesh.size(); ++i) {
    if (i != outsider) mesh.get(i);
  }
  mesh.run(2s);
  const ReadAnswer first = mesh.read(outsider);
  REQUIRE(first.age);
  REQUIRE(*first.age > 1s);
  mesh.run(1s);
  const ReadAnswer second = mesh.read(outsider);
  REQUIRE(second.age);
  CHECK(*second.age >= *first.age + 1s);
}

}  // namespace kith::dht
