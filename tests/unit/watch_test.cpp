// SPDX-License-Identifier: MIT
// Watches: what a client is told, and what is never left out.
#include <catch2/catch.hpp>

#include <set>

#include "tests/support/watching.h"

namespace kith::dht {

using test::Holder;
using test::Watching;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

TEST_CASE("a watch tells what is there, that this was all, and then each change", "[watch]") {
  Watching mesh;
  mesh.write("a/1", "one");
  mesh.write("b/1", "not watched");
  mesh.open("a/");
  CHECK(mesh.told() == Texts{"a/1=one", "current"});
  mesh.write("a/2", "two");
  mesh.write("a/1", "uno");
  mesh.remove("a/2");
  mesh.write("b/1", "still not");
  CHECK(mesh.told() == Texts{"a/2=two", "a/1=uno", "a/2 gone"});
}

TEST_CASE("a change that three replicas tell of is told once", "[watch]") {
  Watching mesh;
  mesh.open("a/1");
  mesh.told();
  mesh.write("a/1", "one");
  CHECK(mesh.told() == Texts{"a/1=one"});
  CHECK(mesh.reads <= 3);
}

TEST_CASE("a client without room is told the last of what it missed", "[watch]") {
  Watching mesh;
  const Ticket watch = mesh.open("a/", {}, 1);
  mesh.write("a/1", "one");
  mesh.write("a/1", "two");
  mesh.write("a/1", "three");
  mesh.write("a/2", "other");
  CHECK(mesh.told() == Texts{"current", "a/1=one"});
  mesh.watches.grant(watch, 1);
  mesh.settle();
  CHECK(mesh.told() == Texts{"a/1=three"});
  mesh.watches.grant(watch, 5);
  mesh.settle();
  CHECK(mesh.told() == Texts{"a/2=other"});
}

TEST_CASE("a change whose message is lost is told when the holder tries again", "[watch]") {
  Watching mesh(1);
  mesh.open("a/");
  mesh.told();
  mesh.passes = [](const NodeId&, const Body& body) { return !std::holds_alternative<Changed>(body); };
  mesh.write("a/1", "one");
  mesh.run(7s);
  CHECK(mesh.told().empty());
  mesh.passes = [](auto&...) { return true; };
  mesh.run(7s);
  CHECK(mesh.told() == Texts{"a/1=one"});
}

TEST_CASE("who watched before is told only what has changed since", "[watch]") {
  Watching mesh;
  const auto token_of = [](const Record& record) {
    VersionVector version;
    version.raise(record.tag(), record.seq());
    return seal_token(version, record.key_hash(), DataKey{});
  };
  const Record same = mesh.write("a/same", "one");
  const Record changed = mesh.write("a/changed", "one");
  const Record removed = mesh.write("a/removed", "one");
  mesh.write("a/changed", "two");
  mesh.remove("a/removed");
  mesh.write("a/new", "three");
  mesh.open("a/", {{"a/same", token_of(same)}, {"a/changed", token_of(changed)}, {"a/removed", token_of(removed)}});
  Texts told = mesh.told();
  REQUIRE(told.size() == 4);
  CHECK(told.back() == "current");
  told.pop_back();
  std::ranges::sort(told);
  CHECK(told == Texts{"a/changed=two", "a/new=three", "a/removed gone"});
}

TEST_CASE("a version that is not this mesh's is taken for one that was never seen", "[watch]") {
  Watching mesh;
  mesh.write("a/1", "one");
  mesh.open("a/", {{"a/1", crypto::Bytes(40, 7)}, {"b/1", {}}, {"", {}}});
  CHECK(mesh.told() == Texts{"a/1=one", "current"});
}

TEST_CASE("what expires is gone when its time is over, and told once", "[watch]") {
  Watching mesh;
  mesh.open("services/");
  mesh.told();
  mesh.write("services/printer", "here", {}, 2000);
  mesh.run(1500ms);
  mesh.write("services/printer", "here still", {}, 2000);
  CHECK(mesh.told() == Texts{"services/printer=here", "services/printer=here still"});
  mesh.run(1500ms);
  CHECK(mesh.told().empty());
  mesh.run(2s);
  CHECK(mesh.told() == Texts{"services/printer gone"});
  mesh.write("services/printer", "again");
  CHECK(mesh.told() == Texts{"services/printer=again"});
}

TEST_CASE("a read that shows less than was heard of is made again", "[watch]") {
  Watching mesh;
  mesh.open("a/1");
  mesh.told();
  mesh.readable = [] { return std::vector<std::size_t>{2}; };
  mesh.write("a/1", "one", {0});
  mesh.run(100ms);
  CHECK(mesh.told().empty());
  mesh.readable = [] { return std::vector<std::size_t>{0, 2}; };
  mesh.run(500ms);
  CHECK(mesh.told() == Texts{"a/1=one"});
}

TEST_CASE("what is older than what was told is not told", "[watch]") {
  Watching mesh;
  mesh.write("a/1", "one");
  mesh.open("a/1");
  mesh.write("a/1", "two", {0});
  CHECK(mesh.told() == Texts{"a/1=one", "current", "a/1=two"});
  mesh.readable = [] { return std::vector<std::size_t>{1}; };  // which has not heard of it
  const std::size_t reads = mesh.reads;
  mesh.watches.on_policies();  // all is read again
  mesh.run(10s);
  CHECK(mesh.reads > reads);
  CHECK(mesh.told().empty());
}

TEST_CASE("a holder that is away is asked when it is back, and does not keep the watcher busy", "[watch]") {
  Watching mesh;
  mesh.write("a/1", "one", {2});
  mesh.watcher.neighbours.away.insert(mesh.at(2).id());
  mesh.readable = [] { return std::vector<std::size_t>{0, 1}; };
  mesh.open("a/1");
  CHECK(mesh.told() == Texts{"current"});
  CHECK(mesh.is_at_rest());
  mesh.run(20s);
  CHECK(mesh.is_at_rest());
  mesh.watcher.neighbours.away.clear();
  mesh.readable = {};
  mesh.watches.on_back(mesh.at(2).id());
  mesh.settle();
  CHECK(mesh.told() == Texts{"a/1=one"});
}

TEST_CASE("a watch that is closed while it reads leaves room for others", "[watch]") {
  Watching mesh;
  for (int i = 0; i < 200; ++i) mesh.write("a/" + std::to_string(i), "x");
  const Ticket watch = mesh.open("a/", {}, 1);
  mesh.watches.on_policies();
  const auto wanted = mesh.watches.take_wanted();
  REQUIRE_FALSE(wanted.empty());
  Ticket read = 1'000'000;
  for (const auto& each : wanted) mesh.watches.started(++read, each);
  mesh.watches.close(watch);
  CHECK_FALSE(mesh.watches.is_idle());
  Turn turn = mesh.watcher.turn();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    mesh.watches.on_read(turn, {.ticket = read - i, .outcome = Error{ErrorCode::timeout, ""}, .partial = {}});
  }
  CHECK(mesh.watches.is_idle());
}

TEST_CASE("credit that is left is used for what is due, also where some of it is no news", "[watch]") {
  Watching mesh;
  const Ticket watch = mesh.open("jobs/", {}, 1);
  mesh.write("jobs/first", "x");
  for (int i = 0; i < 40; ++i) {
    mesh.write("jobs/" + std::to_string(i), "x");
    mesh.remove("jobs/" + std::to_string(i));
  }
  mesh.write("jobs/last", "x");
  CHECK(mesh.told() == Texts{"current", "jobs/first=x"});
  mesh.watches.grant(watch, 4);
  mesh.settle();
  CHECK(mesh.told() == Texts{"jobs/last=x"});
}

TEST_CASE("a second watch of many keys that its client has seen is told that this was all", "[watch]") {
  Watching mesh;
  std::vector<WatchRequest::Seen> seen;
  for (int i = 0; i < 50; ++i) {
    const Record record = mesh.write("a/" + std::to_string(i), "x");
    VersionVector version;
    version.raise(record.tag(), record.seq());
    seen.push_back({std::string(record.key()), seal_token(version, record.key_hash(), DataKey{})});
  }
  mesh.open("a/");
  mesh.told();
  seen.pop_back();
  mesh.open("a/", seen, 2);
  CHECK(mesh.told() == Texts{"a/49=x", "current"});
}

TEST_CASE("a key that changes all the time does not hide what was there", "[watch]") {
  Watching mesh(1);
  for (int i = 0; i < 300; ++i) mesh.write("a/" + std::to_string(i), "x");
  mesh.passes = [](const NodeId&, const Body& body) { return !std::holds_alternative<Changed>(body); };
  mesh.open("a/", {}, 1000);
  std::size_t hot = 0;
  std::set<std::string> told;
  mesh.passes = [&](const NodeId&, const Body& body) {
    const auto* changed = std::get_if<Changed>(&body);
    if (changed == nullptr || hot == 50) return true;
    for (const KeyChange& change : changed->keys) told.insert(change.key);
    mesh.at(0).store_row(mesh.author_row("a/hot", std::to_string(++hot)));
    return true;
  };
  mesh.run(20s);
  CHECK(hot == 50);
  CHECK(told.size() == 301);
}

TEST_CASE("a holder without room for a watch ends it", "[watch]") {
  Watching mesh;
  Turn turn = mesh.at(1).turn();
  for (std::uint64_t i = 0; i < limits::subscriptions_per_node_max; ++i) {
    mesh.at(1).publisher.on_watch(turn, mesh.watcher.neighbours.self_id,
                                  {.subscription = 1 + i, .target = "b/", .is_prefix = true});
  }
  const Ticket watch = mesh.open("a/");
  const auto& completions = mesh.watcher.out.completions;
  REQUIRE(completions.size() == 1);
  CHECK(completions.front().ticket == watch);
  CHECK(std::get<Error>(completions.front().outcome).code == ErrorCode::quota);
}

TEST_CASE("what is told waits for its turn, whatever its read waited for", "[watch]") {
  Watching mesh;
  mesh.write("a/1", "one");
  mesh.open("a/");
  for (const Change& change : mesh.watcher.out.changes) CHECK(change.release == Release::after_commit);
  CHECK(mesh.watcher.out.changes.size() == 2);
}

TEST_CASE("what was deleted and forgotten while nobody watched is told as absent", "[watch]") {
  Watching mesh;
  const Record record = mesh.write("a/1", "one");
  VersionVector version;
  version.raise(record.tag(), record.seq());
  const auto token = seal_token(version, record.key_hash(), DataKey{});
  for (std::size_t i = 0; i < 3; ++i) mesh.at(i).store.replace(record.key_hash(), {});
  mesh.open("a/", {{"a/1", token}});
  mesh.run(10s);
  CHECK(mesh.told() == Texts{"a/1 gone", "current"});
}

TEST_CASE("where replicas are missing, that nothing is found is not told, and a delete is", "[watch]") {
  Watching mesh;
  mesh.write("a/1", "one");
  mesh.open("a/1");
  mesh.told();
  mesh.is_degraded = true;
  mesh.readable = [] { return std::vector<std::size_t>{}; };
  mesh.watches.on_policies();
  mesh.run(5s);
  CHECK(mesh.told().empty());
  mesh.readable = {};
  mesh.remove("a/1");
  mesh.run(5s);
  CHECK(mesh.told() == Texts{"a/1 gone"});
}

TEST_CASE("where one of two concurrent values expires the other one is told", "[watch]") {
  Watching mesh;
  mesh.conflict = Conflict::siblings;
  test::Bench other(10);
  const auto authored =
      other.author.write({.key = "a/1", .value = crypto::as_bytes("beside")}, {}, VersionVector{}, other.now.wall_ms);
  mesh.write("a/1", "short", {}, 2000);
  for (std::size_t i = 0; i < 3; ++i) mesh.at(i).store_row(authored->record);
  mesh.open("a/1");
  mesh.told();
  mesh.run(3s);
  CHECK(mesh.told() == Texts{"a/1=beside"});
}

TEST_CASE("a holder that forgot its subscription has what was there looked at", "[watch]") {
  Watching mesh(1);
  mesh.write("a/1", "one");
  mesh.open("a/");
  mesh.told();
  mesh.at(0).publisher = Publisher(1000);  // it restarted
  mesh.remove("a/1");
  CHECK(mesh.told().empty());
  mesh.run(11s);
  CHECK(mesh.told() == Texts{"a/1 gone"});
}

TEST_CASE("a subscription with more changes than it keeps tells all anew, and nothing is left out", "[watch]") {
  Watching mesh(1);
  mesh.write("a/first", "here");
  mesh.open("a/", {}, 2 * limits::changes_kept_max);
  mesh.told();
  mesh.passes = [](const NodeId&, const Body& body) { return !std::holds_alternative<Changed>(body); };
  mesh.write("a/lost", "x");  // tried again, whatever waits
  mesh.remove("a/first");
  for (std::size_t i = 0; i < limits::changes_kept_max + 10; ++i) mesh.write("a/" + std::to_string(i), "x");
  mesh.passes = [](auto&...) { return true; };
  mesh.run(20s);
  Texts told = mesh.told();
  CHECK(std::ranges::count(told, "a/first gone") == 1);
  CHECK(told.size() == limits::changes_kept_max + 12);
}

TEST_CASE("nobody is told whose lease is over", "[watch]") {
  Watching mesh;
  const Ticket watch = mesh.open("a/");
  CHECK(mesh.at(0).publisher.has_subscriptions());
  mesh.run(40s);
  CHECK(mesh.at(0).publisher.has_subscriptions());
  mesh.watches.close(watch);
  mesh.run(31s);
  CHECK_FALSE(mesh.at(0).publisher.has_subscriptions());
}

TEST_CASE("who tells of what nobody watches any more hears so", "[watch]") {
  Watching mesh;
  const Ticket watch = mesh.open("a/");
  mesh.watches.close(watch);
  mesh.write("a/1", "one");
  for (std::size_t i = 0; i < 3; ++i) CHECK_FALSE(mesh.at(i).publisher.has_subscriptions());
  CHECK(mesh.told() == Texts{"current"});
}

TEST_CASE("watches of the same keys share what they are told", "[watch]") {
  Watching mesh;
  mesh.write("a/1", "one");
  mesh.open("a/");
  const Ticket second = mesh.open("a/");
  CHECK(mesh.at(0).publisher.size() == 1);
  CHECK(mesh.told() == Texts{"a/1=one", "current", "a/1=one", "current"});
  mesh.watches.close(second);
  mesh.write("a/1", "two");
  CHECK(mesh.told() == Texts{"a/1=two"});
}

TEST_CASE("one node takes no more than its share of subscriptions", "[watch]") {
  test::Holder holder(1);
  Turn turn = holder.turn();
  const auto is_taken = [&](std::uint8_t watcher, std::uint64_t number, std::string target, bool is_prefix) {
    const Watch watch{.subscription = number, .target = std::move(target), .is_prefix = is_prefix};
    return holder.publisher.on_watch(turn, test::node(watcher), watch).instance != 0;
  };
  for (std::uint64_t i = 0; i < limits::subscriptions_per_node_max; ++i) REQUIRE(is_taken(2, i, "a/", true));
  CHECK_FALSE(is_taken(2, 1'000'000, "a/", true));
  CHECK(is_taken(2, 1, "a/", true));
  CHECK_FALSE(is_taken(2, 1, "b/", true));  // another one of the same number
  CHECK(is_taken(3, 1'000'000, "a/", true));
  CHECK_FALSE(is_taken(3, 1, "no key", false));
}

TEST_CASE("an answer that was lost does not hide that a holder had forgotten", "[watch]") {
  Watching mesh(1);
  mesh.write("a/1", "one");
  mesh.open("a/");
  mesh.told();
  mesh.at(0).publisher = Publisher(1000);
  mesh.remove("a/1");
  mesh.passes = [](const NodeId&, const Body& body) { return !std::holds_alternative<WatchReply>(body); };
  mesh.run(11s);
  CHECK(mesh.at(0).publisher.has_subscriptions());
  mesh.passes = [](auto&...) { return true; };
  mesh.run(5s);
  CHECK(mesh.told() == Texts{"a/1 gone"});
}

TEST_CASE("a stranger's changes cost nothing", "[watch]") {
  Watching mesh;
  mesh.open("a/");
  mesh.told();
  const std::size_t reads = mesh.reads;
  Changed changed{.subscription = 12345, .keys = {{"a/1", {}}}};
  CHECK_FALSE(mesh.watches.on_changed(test::node(77), changed).is_wanted);
  mesh.settle();
  CHECK(mesh.reads == reads);
}

TEST_CASE("whoever is no holder of it is not heard about a watch that there is", "[watch]") {
  Watching mesh;
  std::uint64_t subscription = 0;
  mesh.passes = [&](const NodeId&, const Body& body) {
    if (const auto* watch = std::get_if<Watch>(&body)) subscription = watch->subscription;
    return true;
  };
  mesh.open("a/");
  REQUIRE(subscription != 0);
  const std::size_t reads = mesh.reads;
  const Changed changed{.subscription = subscription, .keys = {{"a/1", {}}}};
  CHECK_FALSE(mesh.watches.on_changed(test::node(77), changed).is_wanted);
  mesh.settle();
  CHECK(mesh.reads == reads);
  CHECK(mesh.watches.on_changed(mesh.at(0).id(), changed).is_wanted);
  mesh.settle();
  CHECK(mesh.reads == reads + 1);
}

TEST_CASE("a holder that soon is one again need not tell a second time what was there", "[watch]") {
  Watching mesh(2);
  mesh.open("a/");
  mesh.told();
  std::vector<NodeId>& replicas = mesh.watcher.neighbours.set.replicas;
  const NodeId gone = std::exchange(replicas.back(), replicas.front());
  mesh.run(15s);
  replicas.back() = gone;
  mesh.run(11s);
  mesh.open("a/");
  CHECK(mesh.told() == Texts{"current"});
  mesh.write("a/1", "one", {1});
  CHECK(mesh.told() == Texts{"a/1=one", "a/1=one"});
}

TEST_CASE("a holder that slept longer than its lease, and is asked again, tells what was there", "[watch]") {
  Watching mesh(1);
  Holder& holder = mesh.at(0);
  const Watch watch{.subscription = 7, .target = "a/1"};
  Turn asleep = holder.turn();
  const WatchReply before = holder.publisher.on_watch(asleep, test::node(8), watch);
  holder.now.instant += 40s;
  Turn awake = holder.turn();
  const WatchReply after = holder.publisher.on_watch(awake, test::node(8), watch);
  CHECK(after.instance != 0);
  CHECK(after.instance != before.instance);
}

TEST_CASE("a holder that is none any more is not asked again, and what it tells is heard and not wanted", "[watch]") {
  Watching mesh(2);
  std::uint64_t subscription = 0;
  std::size_t asked = 0;
  std::vector<NodeId>& replicas = mesh.watcher.neighbours.set.replicas;
  const NodeId gone = replicas.back();
  mesh.passes = [&](const NodeId& to, const Body& body) {
    const auto* watch = std::get_if<Watch>(&body);
    if (watch != nullptr && to == gone) subscription = watch->subscription, asked += 1;
    return true;
  };
  mesh.open("a/");
  REQUIRE(asked == 1);
  replicas.pop_back();
  mesh.run(70s);
  CHECK(asked == 1);
  CHECK(mesh.is_at_rest());
  const std::size_t reads = mesh.reads;
  CHECK_FALSE(mesh.watches.on_changed(gone, {.subscription = subscription, .keys = {{"a/1", {}}}}).is_wanted);
  mesh.settle();
  CHECK(mesh.reads == reads + 1);
}

TEST_CASE("a prefix with more keys than may be watched ends the watch", "[watch]") {
  Watching mesh(1);
  const Ticket watch = mesh.open("a/", {}, 1);
  for (std::size_t i = 0; i <= limits::watched_keys_max; ++i) mesh.write("a/" + std::to_string(i), "x");
  const auto& completions = mesh.watcher.out.completions;
  REQUIRE(completions.size() == 1);
  CHECK(completions.front().ticket == watch);
  CHECK(std::get<Error>(completions.front().outcome).code == ErrorCode::too_large);
  CHECK(mesh.watches.size() == 0);
}

}  // namespace kith::dht
