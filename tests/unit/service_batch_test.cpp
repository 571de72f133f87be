// SPDX-License-Identifier: MIT
// Many keys behind one request, and what a client has room for.
#include "tests/support/service_desk.h"

using namespace kith::test;

namespace {

void put_small_and_large(ServiceDesk& desk) {
  desk.ask(1, "put", item("small", "x"));
  desk.ask(2, "put", item("large", std::string(65536, 'x')));
  desk.turn();
  desk.receive();
}

}  // namespace

TEST_CASE("the keys of an mput are answered one by one and counted at the end", "[service]") {
  ServiceDesk desk;
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
  ServiceDesk desk;
  desk.ask(1, "mget", [](RpcWriter& w) { w.map(1).text("keys").array(0); });
  CHECK(desk.receive([](const RpcMessage& message) { CHECK(message.result["count"].number() == 0); }) == 1);
}

TEST_CASE("a batch waits while its client does not read, and goes on when it does", "[service]") {
  ServiceDesk desk;
  const std::string large(65536, 'x');
  desk.ask(1, "put", item("k", large));
  desk.turn();
  desk.receive();
  desk.ask(2, "mget", [](RpcWriter& w) {
    w.map(1).text("keys").array(1000);
    for (int i = 0; i < 1000; ++i) w.text("k");
  });
  CHECK(desk.unsent_bytes(1) < kith::dht::limits::client_answer_bytes_max);
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
    CHECK(desk.unsent_bytes(1) < kith::dht::limits::client_answer_bytes_max);
  }
  CHECK(items == 1000);
  CHECK(is_done);
}

TEST_CASE("what a client has no room for is read again when it has taken the rest, and answered once", "[service]") {
  ServiceDesk desk;
  put_small_and_large(desk);
  desk.ask(3, "put", item("small", "y"));  // not durable yet: who reads it waits for that
  desk.ask(4, "mget", [](RpcWriter& w) { w.map(1).text("keys").array(1).text("small"); });
  for (std::uint32_t i = 5; i < 5 + 130; ++i) desk.ask(i, "get", key("large"));
  REQUIRE(desk.unsent_bytes(1) > 2 * kith::dht::limits::client_unsent_bytes_high);
  desk.turn();
  int items = 0;
  const auto look = [&](const RpcMessage& message) { items += message.kind == RpcKind::notification ? 1 : 0; };
  desk.receive(look);
  CHECK(items == 0);
  desk.drained();
  desk.turn();
  desk.receive(look);
  CHECK(items == 1);
}

TEST_CASE("small answers do not have large ones expected to be small", "[service]") {
  ServiceDesk desk;
  put_small_and_large(desk);
  for (const std::string wanted : {"small", "large"}) {
    desk.ask(3, "mget", [&](RpcWriter& w) {
      w.map(1).text("keys").array(1000);
      for (int i = 0; i < 1000; ++i) w.text(wanted);
    });
  }
  CHECK(desk.unsent_bytes(1) < kith::dht::limits::client_answer_bytes_max);
}

TEST_CASE("watches take nothing of the room that a client has for answers", "[service]") {
  ServiceDesk desk;
  const auto everything = [](RpcWriter& w) { w.map(1).text("prefix").text("default/"); };
  for (std::uint32_t i = 1; i <= 100; ++i) desk.ask(i, "watch", everything);
  desk.receive();
  CHECK(desk.service.has_room(1));
  desk.ask(101, "unwatch", [](RpcWriter& w) { w.map(1).text("request").number(1U); });
  CHECK(desk.receive() == 2);
  CHECK(desk.service.has_room(1));
}
