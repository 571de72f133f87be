// SPDX-License-Identifier: MIT
#include "tests/support/service_desk.h"

using namespace kith::test;

TEST_CASE("a put is acknowledged after its commit and not before", "[service]") {
  ServiceDesk desk;
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
  ServiceDesk desk;
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
  ServiceDesk desk;
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
  desk.write_status = kith::dht::Error{kith::dht::ErrorCode::storage, "the disk is full"};
  CHECK(error_of("put", item("k", "v")) == "storage");
}

TEST_CASE("a client has at most so many requests in flight", "[service]") {
  ServiceDesk desk;
  for (std::uint32_t i = 0; i < kith::dht::limits::client_requests_in_flight_max; ++i) {
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
  ServiceDesk desk;
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
  ServiceDesk desk;
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
  ServiceDesk desk;
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
  ServiceDesk desk;
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
  ServiceDesk desk;
  const Params invite = [](RpcWriter& w) { w.map(2).text("invite").text("good").text("timeout_ms").number(500); };
  desk.ask(1, "join", invite);
  CHECK(desk.receive() == 0);
  desk.ask(2, "join", invite);
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(code_of(message) == "denied"); }) == 1);
  CHECK(desk.service.next_deadline() == desk.now.instant + 500ms);
}

TEST_CASE("a join that nobody answers times out", "[service]") {
  ServiceDesk desk;
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
  ServiceDesk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.ask(2, "join", [](RpcWriter& w) { w.map(1).text("invite").text("good"); });
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.id == 1);
    CHECK(code_of(message) == "indeterminate");
  }) == 1);
}

TEST_CASE("a join that failed when the host was another already interrupts as well", "[service]") {
  ServiceDesk desk;
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
  ServiceDesk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.ask(2, "join", [](RpcWriter& w) { w.map(1).text("invite").text("of this mesh"); });
  CHECK(desk.receive() == 0);
  desk.turn();
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.id == 1); }) == 1);
}

TEST_CASE("a failed disk answers everything that is open", "[service]") {
  ServiceDesk desk;
  desk.ask(1, "put", item("k", "v"));
  desk.service.fail_all({kith::dht::ErrorCode::storage, "the disk refused"});
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(code_of(message) == "storage"); }) == 1);
  desk.turn();
  CHECK(desk.receive() == 0);
}

TEST_CASE("stop answers first and events are passed on", "[service]") {
  ServiceDesk desk;
  desk.ask(1, "stop", nothing);
  CHECK(desk.receive() == 1);
  CHECK(desk.stopped);
  desk.tell(kith::dht::EventKind::member_suspect);
  CHECK(desk.events.back() == kith::dht::EventKind::member_suspect);
}

TEST_CASE("a snapshot tells how far it is and is answered when it is done", "[service]") {
  ServiceDesk desk;
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
  ServiceDesk desk;
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
  ServiceDesk desk;
  desk.ask(1, "repair", nothing);
  CHECK(desk.receive([](const RpcMessage& message) {
    CHECK(message.result["equal"].boolean() == false);
    CHECK(message.result["peers"].number() == 0);
  }) == 1);
}

TEST_CASE("who waits for repair is told how far it is, and answered when the time is up", "[service]") {
  ServiceDesk desk;
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
  ServiceDesk desk;
  desk.ask(1, "repair", [](RpcWriter& w) { w.map(1).text("wait_ms").number(60'000); });
  desk.disconnect(1);
  CHECK_FALSE(desk.service.next_deadline());
}

TEST_CASE("a node alone is told why it cannot leave", "[service]") {
  ServiceDesk desk;
  desk.ask(1, "leave", nothing);
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(code_of(message) == "denied"); }) == 1);
  desk.ask(2, "leave", [](RpcWriter& w) { w.map(1).text("cancel").boolean(true); });
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.result["stage"].text() == "member"); }) == 1);
}
