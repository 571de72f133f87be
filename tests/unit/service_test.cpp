// SPDX-License-Identifier: MIT
#include "daemon/service.h"

#include <map>

#include <catch2/catch.hpp>

#include "dht/model/memory_store.h"

using namespace kith::daemon;
namespace crypto = kith::crypto;
namespace dht = kith::dht;
using namespace std::chrono_literals;

namespace {

using Params = std::function<void(RpcWriter&)>;

// A daemon without sockets, clocks and disk: a node alone, whose commits happen when a turn ends.
class Desk : public Clients, public Control {
 public:
  Desk() {
    host_.start(now, {}, out_);
    turn();
  }

  // Clients
  crypto::Bytes* output(ClientId client) override { return gone_ == client ? nullptr : &outputs_[client]; }
  std::size_t unsent_bytes(ClientId client) const override {
    const auto found = outputs_.find(client);
    return found == outputs_.end() ? 0 : found->second.size();
  }

  // Control
  dht::Host& host() override { return host_; }
  std::uint64_t host_number() const override { return host_number_; }
  dht::StoreTotals totals() const override { return store_.totals(); }
  ProcessFacts facts() const override {
    ProcessFacts facts;
    facts.mesh = "mesh";
    facts.durability = "full";
    return facts;
  }
  dht::Status accepts_writes() override { return write_status; }
  dht::Result<InviteText> invite() const override { return InviteText{"kith1x", {"127.0.0.1:1"}}; }
  dht::Result<Joined> join(dht::Now, const std::string& text, dht::HostOutputs&) override {
    if (text == "bad") return dht::Error{dht::ErrorCode::invalid, "no invite"};
    if (text == "of this mesh") return Joined{"mesh", 0};
    host_number_ += 1;
    if (text == "of a mesh that the disk refuses") return dht::Error{dht::ErrorCode::storage, "the disk refused"};
    return Joined{"other", 3};
  }
  dht::Status leave(dht::Now, dht::HostOutputs&) override { return host_.leave(now, out_); }
  dht::Status stay(dht::Now, dht::HostOutputs&) override {
    host_.stay(now, out_);
    return dht::Done{};
  }
  void on_event(const dht::Event& event) override { events.push_back(event.kind); }
  void stop() override { stopped = true; }
  dht::Status begin_snapshot(const std::string& file) override {
    if (file == "/full") return dht::Error{dht::ErrorCode::quota, "no room"};
    snapshot_progress = {.state = kith::store::SnapshotProgress::State::copying, .bytes_done = 1, .bytes_total = 4};
    return dht::Done{};
  }
  kith::store::SnapshotProgress snapshot() const override { return snapshot_progress; }
  void abandon_snapshot() override { snapshot_progress = {}; }

  void ask(std::uint32_t id, std::string_view method, const Params& params, ClientId client = 1) {
    crypto::Bytes bytes;
    RpcWriter writer(bytes);
    params(writer.request(id, method));
    RpcReader reader(RpcLimits{});
    REQUIRE(reader.read(bytes) == RpcRead::message);
    service.request(now, client, reader.message(), out_);
    service.settle(now, out_);
  }

  // Commits what was written and lets out what waited for it.
  void turn() {
    store_.commit();
    host_.end_turn(++batch_);
    host_.committed(now, batch_, out_);
    service.settle(now, out_);
    out_ = {};
  }
  void drained(ClientId client = 1) { service.client_drained(now, client, out_); }
  void tell(dht::EventKind kind) {
    out_.events.push_back({kind, {}, {}});
    service.settle(now, out_);
  }
  void disconnect(ClientId client) {
    gone_ = client;
    service.client_closed(client);
  }

  // How many messages a client has received since the last time, each given to `look`.
  int receive(
      const std::function<void(const RpcMessage&)>& look = [](const RpcMessage&) {}, ClientId client = 1) {
    const crypto::Bytes bytes = std::exchange(outputs_[client], {});
    RpcReader reader({.message_bytes = 16U << 20, .elements = 1U << 20});
    int count = 0;
    for (std::size_t at = 0; at < bytes.size(); at += reader.consumed(), ++count) {
      REQUIRE(reader.read(crypto::ByteSpan(bytes).subspan(at)) == RpcRead::message);
      look(reader.message());
    }
    return count;
  }

  dht::Now now{dht::Instant{1000s}, 1'790'000'000'000};
  // Lets time pass, and what is due happen.
  void wait(dht::Duration duration) {
    now.instant += duration;
    service.on_deadline(now, out_);
    service.settle(now, out_);
  }

  kith::store::SnapshotProgress snapshot_progress;
  dht::Status write_status = dht::Done{};
  bool stopped = false;
  std::vector<dht::EventKind> events;

 private:
  dht::MemoryStore store_;
  dht::Host host_{{}, crypto::NodeKeys::from_seed(crypto::Secret<32>()), {}, store_, {}};
  std::uint64_t host_number_ = 1;
  std::map<ClientId, crypto::Bytes> outputs_;
  ClientId gone_ = 0;
  dht::HostOutputs out_;
  std::uint64_t batch_ = 0;

 public:
  Service service{*this, *this};
};

Params key(std::string_view name) {
  return [name](RpcWriter& w) { w.map(1).text("key").text(name); };
}
Params item(std::string_view name, std::string_view value) {
  return [name, value](RpcWriter& w) { w.map(2).text("key").text(name).text("value").text(value); };
}
const Params nothing = [](RpcWriter& w) { w.map(0); };

std::string code_of(const RpcMessage& message) { return std::string(message.error["code"].text().value_or("")); }

std::string value_in(const RpcValue& result) {
  std::string value;
  result["values"].for_each([&](const RpcValue& each) {
    const auto bytes = each["value"].bytes();
    value.assign(bytes->begin(), bytes->end());
  });
  return value;
}

}  // namespace

TEST_CASE("a put is acknowledged after its commit and not before", "[service]") {
  Desk desk;
  desk.ask(7, "put", item("k", "v"));
  CHECK(desk.receive() == 0);
  desk.turn();
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.id == 7);
    CHECK(message.result["key"].text() == "default/k");
    CHECK(message.result["copies"].number() == 1);
    CHECK(message.result["durable"].boolean() == true);
  }) == 1);
}

TEST_CASE("what was put is read, and what was deleted is not", "[service]") {
  Desk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.turn();
  desk.receive();
  desk.ask(2, "get", key("k"));
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(value_in(message.result) == "v"); }) == 1);
  desk.ask(3, "del", key("k"));
  desk.turn();
  desk.receive();
  desk.ask(4, "get", key("k"));
  desk.receive([](const RpcMessage& message) { CHECK(message.result["found"].boolean() == false); });
}

TEST_CASE("an error names what is wrong and answers the request it belongs to", "[service]") {
  Desk desk;
  const auto error_of = [&](std::string_view method, const Params& params) {
    desk.ask(5, method, params);
    std::string code;
    CHECK(desk.receive([&](const RpcMessage& message) {
      CHECK(message.id == 5);
      CHECK(message.result.is_nil());
      code = code_of(message);
    }) == 1);
    return code;
  };
  CHECK(error_of("fly", nothing) == "unsupported");
  CHECK(error_of("get", nothing) == "invalid");
  CHECK(error_of("status", key("k")) == "invalid");
  CHECK(error_of("join", [](RpcWriter& w) { w.map(1).text("invite").text("bad"); }) == "invalid");
  desk.write_status = dht::Error{dht::ErrorCode::storage, "the disk is full"};
  CHECK(error_of("put", item("k", "v")) == "storage");
}

TEST_CASE("the keys of an mput are answered one by one and counted at the end", "[service]") {
  Desk desk;
  desk.ask(9, "mput", [](RpcWriter& w) {
    w.map(1).text("items").array(3);
    item("a", "1")(w);
    item("", "2")(w);
    item("c", "3")(w);
  });
  desk.turn();
  std::map<std::uint64_t, bool> done;
  int responses = 0;
  desk.receive([&](const RpcMessage& message) {
    if (message.kind == RpcKind::notification) {
      CHECK(message.method == "item");
      CHECK(message.params["request"].number() == 9);
      done[*message.params["index"].number()] = message.params["error"].is_nil();
      return;
    }
    ++responses;
    CHECK(done.size() == 3);
    CHECK(message.result["count"].number() == 3);
    CHECK(message.result["done"].number() == 2);
    CHECK(message.result["failed"].number() == 1);
  });
  CHECK(responses == 1);
  CHECK(done == std::map<std::uint64_t, bool>{{0, true}, {1, false}, {2, true}});
}

TEST_CASE("an mget of nothing ends at once", "[service]") {
  Desk desk;
  desk.ask(1, "mget", [](RpcWriter& w) { w.map(1).text("keys").array(0); });
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.result["count"].number() == 0); }) == 1);
}

TEST_CASE("a batch waits while its client does not read, and goes on when it does", "[service]") {
  Desk desk;
  const std::string large(65536, 'x');
  desk.ask(1, "put", item("k", large));
  desk.turn();
  desk.receive();
  desk.ask(2, "mget", [](RpcWriter& w) {
    w.map(1).text("keys").array(1000);
    for (int i = 0; i < 1000; ++i) w.text("k");
  });
  CHECK(desk.unsent_bytes(1) < dht::limits::client_answer_bytes_max);
  CHECK_FALSE(desk.service.has_room(1));

  int items = 0;
  bool is_done = false;
  for (int rounds = 0; rounds < 1000 && !is_done; ++rounds) {
    desk.receive([&](const RpcMessage& message) {
      items += message.kind == RpcKind::notification ? 1 : 0;
      is_done |= message.kind == RpcKind::response;
    });
    desk.drained();
    desk.turn();
    CHECK(desk.unsent_bytes(1) < dht::limits::client_answer_bytes_max);
  }
  CHECK(items == 1000);
  CHECK(is_done);
}

TEST_CASE("small answers do not have large ones expected to be small", "[service]") {
  Desk desk;
  desk.ask(1, "put", item("small", "x"));
  desk.ask(2, "put", item("large", std::string(65536, 'x')));
  desk.turn();
  desk.receive();
  for (const std::string wanted : {"small", "large"}) {
    desk.ask(3, "mget", [&](RpcWriter& w) {
      w.map(1).text("keys").array(1000);
      for (int i = 0; i < 1000; ++i) w.text(wanted);
    });
  }
  CHECK(desk.unsent_bytes(1) < dht::limits::client_answer_bytes_max);
}

TEST_CASE("a client has at most so many requests in flight", "[service]") {
  Desk desk;
  for (std::uint32_t i = 0; i < dht::limits::client_requests_in_flight_max; ++i) {
    REQUIRE(desk.service.has_room(1));
    desk.ask(i, "put", item("k" + std::to_string(i), ""));
    desk.receive();
    if (desk.service.tickets_open() == 0) desk.turn();
  }
  CHECK_FALSE(desk.service.has_room(1));
  CHECK(desk.service.has_room(2));
  desk.turn();
  desk.receive();
  CHECK(desk.service.has_room(1));
}

TEST_CASE("a client that goes away leaves nothing behind", "[service]") {
  Desk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.ask(2, "mput", [](RpcWriter& w) {
    w.map(1).text("items").array(1);
    item("a", "1")(w);
  });
  desk.disconnect(1);
  CHECK(desk.service.tickets_open() == 0);
  desk.turn();
  CHECK(desk.unsent_bytes(1) == 0);
  desk.ask(3, "get", key("k"), 2);
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.id == 3); }, 2) == 1);
}

TEST_CASE("a node alone holds every partition", "[service]") {
  Desk desk;
  desk.ask(1, "status", nothing);
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.result["members"]["alive"].number() == 1);
    CHECK(message.result["partitions"]["held"].number() == 65536);
    CHECK(message.result["partitions"]["under_replicated"].number() == 0);
    CHECK(message.result["version"].text() == KITH_VERSION);
  }) == 1);
  CHECK_FALSE(desk.service.has_idle_work());
}

TEST_CASE("members and locate name this node", "[service]") {
  Desk desk;
  desk.ask(1, "members", nothing);
  desk.ask(2, "locate", key("k"));
  CHECK(desk.receive([](const RpcMessage& message) {
    const RpcValue list = message.id == 1 ? message.result["members"] : message.result["replicas"];
    CHECK(list.size() == 1);
    list.for_each([](const RpcValue& each) {
      CHECK(each["self"].boolean() == true);
      CHECK(each["state"].text() == "alive");
      CHECK(each["node"].text()->size() == 52);
    });
  }) == 2);
}

TEST_CASE("a scan lists by prefix", "[service]") {
  Desk desk;
  desk.ask(1, "put", item("fruit/apple", "1"));
  desk.ask(2, "put", item("tree/oak", "1"));
  desk.turn();
  desk.receive();
  desk.ask(3, "scan", [](RpcWriter& w) { w.map(1).text("prefix").text("fruit/"); });
  desk.turn();
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.result["keys"].size() == 1);
    CHECK(message.result["next"].is_nil());
  }) == 1);
}

TEST_CASE("a join is answered when a member took this node in", "[service]") {
  Desk desk;
  const Params invite = [](RpcWriter& w) { w.map(2).text("invite").text("good").text("timeout_ms").number(500); };
  desk.ask(1, "join", invite);
  CHECK(desk.receive() == 0);
  desk.ask(2, "join", invite);
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(code_of(message) == "denied"); }) == 1);
  CHECK(desk.service.next_deadline() == desk.now.instant + 500ms);
}

TEST_CASE("a join that nobody answers times out", "[service]") {
  Desk desk;
  desk.ask(1, "join", [](RpcWriter& w) { w.map(2).text("invite").text("good").text("timeout_ms").number(500); });
  desk.now.instant += 499ms;
  desk.wait({});
  CHECK(desk.receive() == 0);
  desk.now.instant += 1ms;
  desk.wait({});
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(code_of(message) == "timeout"); }) == 1);
  CHECK_FALSE(desk.service.next_deadline());
}

TEST_CASE("what a join interrupts is answered as indeterminate", "[service]") {
  Desk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.ask(2, "join", [](RpcWriter& w) { w.map(1).text("invite").text("good"); });
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.id == 1);
    CHECK(code_of(message) == "indeterminate");
  }) == 1);
}

TEST_CASE("a join that failed when the host was another already interrupts as well", "[service]") {
  Desk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.ask(2, "join", [](RpcWriter& w) { w.map(1).text("invite").text("of a mesh that the disk refuses"); });
  std::map<std::uint32_t, std::string> codes;
  CHECK(desk.receive([&](const RpcMessage& message) { codes[message.id] = code_of(message); }) == 2);
  CHECK(codes[1] == "indeterminate");
  CHECK(codes[2] == "storage");
  desk.turn();
  CHECK(desk.receive() == 0);
}

TEST_CASE("seeds of this mesh interrupt nothing", "[service]") {
  Desk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.ask(2, "join", [](RpcWriter& w) { w.map(1).text("invite").text("of this mesh"); });
  CHECK(desk.receive() == 0);
  desk.turn();
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.id == 1); }) == 1);
}

TEST_CASE("a failed disk answers everything that is open", "[service]") {
  Desk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.service.fail_all({dht::ErrorCode::storage, "the disk refused"});
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(code_of(message) == "storage"); }) == 1);
  desk.turn();
  CHECK(desk.receive() == 0);
}

TEST_CASE("stop answers first and events are passed on", "[service]") {
  Desk desk;
  desk.ask(1, "stop", nothing);
  CHECK(desk.receive() == 1);
  CHECK(desk.stopped);
  desk.tell(dht::EventKind::member_suspect);
  CHECK(desk.events.back() == dht::EventKind::member_suspect);
}

TEST_CASE("a snapshot tells how far it is and is answered when it is done", "[service]") {
  Desk desk;
  const auto file = [](RpcWriter& w) { w.map(1).text("file").text("/tmp/copy"); };
  desk.ask(1, "snapshot", file);
  CHECK(desk.receive() == 0);
  desk.wait(60ms);
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.kind == RpcKind::notification);
    CHECK(message.method == "progress");
    CHECK(message.params["request"].number() == 1);
    CHECK(message.params["done"].number() == 1);
    CHECK(message.params["total"].number() == 4);
  }) == 1);
  desk.ask(2, "snapshot", file);
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.error["code"].text() == "unavailable"); }) == 1);
  desk.snapshot_progress.state = kith::store::SnapshotProgress::State::done;
  desk.wait(60ms);
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.id == 1);
    CHECK(message.result["file"].text() == "/tmp/copy");
    CHECK(message.result["bytes"].number() == 4);
  }) == 1);
}

TEST_CASE("a snapshot ends with its client, and a path that is not absolute is refused", "[service]") {
  Desk desk;
  desk.ask(1, "snapshot", [](RpcWriter& w) { w.map(1).text("file").text("/tmp/copy"); });
  desk.disconnect(1);
  CHECK(desk.snapshot_progress.state == kith::store::SnapshotProgress::State::none);
  const auto refused_as = [&](const char* method, const char* file, std::string_view code) {
    desk.ask(
        2, method, [&](RpcWriter& w) { w.map(1).text("file").text(file); }, 2);
    CHECK(desk.receive([&](const RpcMessage& message) { CHECK(message.error["code"].text() == code); }, 2) == 1);
  };
  refused_as("snapshot", "copy", "invalid");
  refused_as("snapshot", "/full", "quota");
  refused_as("restore", "copy", "invalid");
}

TEST_CASE("a node alone is equal with everybody, once it has counted what it holds", "[service]") {
  Desk desk;
  desk.ask(1, "repair", nothing);
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.result["equal"].boolean() == false);
    CHECK(message.result["peers"].number() == 0);
  }) == 1);
}

TEST_CASE("who waits for repair is told how far it is, and answered when the time is up", "[service]") {
  Desk desk;
  const Params wait = [](RpcWriter& w) { w.map(2).text("now").boolean(true).text("wait_ms").number(250); };
  desk.ask(1, "repair", wait);
  CHECK(desk.receive() == 0);
  desk.wait(100ms);
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.method == "progress");
    CHECK(message.params["request"].number() == 1);
    CHECK(message.params["waiting"]["handoff"].number() == 0);
  }) == 1);
  desk.wait(200ms);
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.result["equal"].boolean() == false); }) == 1);
  CHECK_FALSE(desk.service.next_deadline());
}

TEST_CASE("a client that goes away no longer waits for repair", "[service]") {
  Desk desk;
  desk.ask(1, "repair", [](RpcWriter& w) { w.map(1).text("wait_ms").number(60'000); });
  desk.disconnect(1);
  CHECK_FALSE(desk.service.next_deadline());
}

TEST_CASE("a node alone is told why it cannot leave", "[service]") {
  Desk desk;
  desk.ask(1, "leave", nothing);
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(code_of(message) == "denied"); }) == 1);
  desk.ask(2, "leave", [](RpcWriter& w) { w.map(1).text("cancel").boolean(true); });
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.result["stage"].text() == "member"); }) == 1);
}
