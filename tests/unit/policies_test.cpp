// SPDX-License-Identifier: MIT
// Policies of namespaces: what they say, how they spread, and what a coordinator does by them.
#include "dht/replication/policies.h"

#include <catch2/catch.hpp>

#include "tests/support/desk.h"
#include "tests/support/policy_member.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using test::Bench;
using test::change_of;
using test::creation;
using test::Desk;
using test::Member;
using test::node;
using namespace std::chrono_literals;

// Reads a record of a policy in which something was changed before it was signed.
bool is_taken(const RecordDraft& draft, const Member& author) {
  Member reader(2);
  PolicyReply reply;
  reply.records.push_back(Record::sign(draft, author.signatures).bytes());
  Turn at = reader.turn();
  reader.policies.on_reply(at, reader.author, reply);
  return !reader.policies.all().empty();
}

}  // namespace

TEST_CASE("a policy says what was asked for, and the mesh's own for the rest", "[policies]") {
  Member member(1);
  PolicyRequest request = creation("carts");
  request.w = 3;
  REQUIRE(member.change(request));
  const Policy& policy = member.policies.of("carts/x");
  CHECK(policy.conflict == Conflict::siblings);
  CHECK(policy.w == 3);
  CHECK(policy.r == 0);
  CHECK(policy.ttl_ms == 0);
  CHECK(member.policies.of("default/x") == Policy{});
  CHECK(member.policies.of("cartsx/x") == Policy{});
}

TEST_CASE("a change of a policy leaves what it does not name", "[policies]") {
  Member member(1);
  PolicyRequest request = creation("carts");
  request.w = 3;
  REQUIRE(member.change(request));
  request = change_of("carts");
  request.ttl_ms = 5000;
  REQUIRE(member.change(request));
  CHECK(member.policies.of("carts/x") == Policy{.conflict = Conflict::siblings, .r = 0, .w = 3, .ttl_ms = 5000});
}

TEST_CASE("a policy is created once, and only what is there is changed", "[policies]") {
  Member member(1);
  CHECK(member.change(change_of("carts")).error().code == ErrorCode::conflict);
  REQUIRE(member.change(creation("carts")));
  CHECK(member.change(creation("carts", Conflict::newest)).error().code == ErrorCode::conflict);
  CHECK(member.policies.of("carts/x").conflict == Conflict::siblings);
}

TEST_CASE("kith's own namespaces, and what is no name, have no policy", "[policies]") {
  Member member(1);
  for (const char* name : {"sys", "blob", "@me", "", "a b", "a/b"}) {
    INFO(name);
    CHECK(member.change(creation(name)).error().code == ErrorCode::invalid);
  }
  CHECK(member.change(creation(std::string(limits::namespace_bytes_max + 1, 'a'))).error().code == ErrorCode::invalid);
}

TEST_CASE("so many namespaces have a policy, and not one more", "[policies]") {
  Member member(1);
  for (std::size_t i = 0; i < limits::namespaces_max; ++i) REQUIRE(member.change(creation("n" + std::to_string(i))));
  CHECK(member.change(creation("more")).error().code == ErrorCode::quota);
}

TEST_CASE("a member that lacks a policy asks whoever tells another digest, and has it then", "[policies]") {
  Member one(1);
  Member other(2);
  REQUIRE(one.change(creation("carts")));
  CHECK(other.hear(one));
  CHECK(other.policies.of("carts/x").conflict == Conflict::siblings);
  CHECK(other.policies.digest() == one.policies.digest());
  CHECK_FALSE(other.hear(one));
}

TEST_CASE("policies are told when another member has all of them", "[policies]") {
  Member one(1);
  Member other(2);
  CHECK(one.policies.are_told());
  REQUIRE(one.change(creation("carts")));
  CHECK_FALSE(one.policies.are_told());
  one.hear(other);
  CHECK_FALSE(one.policies.are_told());
  other.hear(one);
  one.neighbours.leaving = {other.neighbours.self_id};
  one.hear(other);
  CHECK_FALSE(one.policies.are_told());
  one.neighbours.leaving.clear();
  one.hear(other);
  CHECK(one.policies.are_told());
}

TEST_CASE("members with policies of their own have all of them in the end", "[policies]") {
  Member one(1);
  Member other(2);
  REQUIRE(one.change(creation("carts")));
  REQUIRE(other.change(creation("sessions")));
  CHECK(other.hear(one));
  CHECK(one.hear(other));
  CHECK(one.policies.all().size() == 2);
  CHECK(one.policies.digest() == other.policies.digest());
}

TEST_CASE("of two policies of one namespace the later is everywhere in the end", "[policies]") {
  Member one(1);
  Member other(2);
  REQUIRE(one.change(creation("carts", Conflict::newest)));
  other.now.wall_ms += 1000;
  REQUIRE(other.change(creation("carts", Conflict::siblings)));
  const PolicyReply earlier = one.policies.answer({});
  CHECK(one.hear(other));
  Turn at = other.turn();
  other.policies.on_reply(at, other.author, earlier);
  for (const Member* member : {&one, &other}) {
    CHECK(member->policies.of("carts/x").conflict == Conflict::siblings);
    CHECK(member->policies.digest() == one.policies.digest());
  }
}

TEST_CASE("of two policies that one author signed with one seq all members keep the same", "[policies]") {
  const Member author(9);
  const VersionVector nothing;
  const auto signed_with = [&](Conflict conflict) {
    const crypto::Bytes value = encode(Policy{.conflict = conflict});
    const Entry entry{.seq = seq_at(author.now.wall_ms), .bytes = value};
    return Record::sign({.key = "sys/ns/carts",
                         .actor = author.author.actor(),
                         .seq = entry.seq,
                         .context = &nothing,
                         .entries = std::span(&entry, 1)},
                        author.signatures)
        .bytes();
  };
  Member one(1);
  Member other(2);
  const auto tell = [](Member& member, const crypto::Bytes& record) {
    PolicyReply reply;
    reply.records.push_back(record);
    Turn at = member.turn();
    member.policies.on_reply(at, member.author, reply);
  };
  tell(one, signed_with(Conflict::newest));
  tell(other, signed_with(Conflict::siblings));
  CHECK(one.policies.digest() != other.policies.digest());
  one.hear(other);
  other.hear(one);
  CHECK(one.policies.digest() == other.policies.digest());
}

TEST_CASE("members that hear of more policies than they keep, keep the same ones", "[policies]") {
  Member one(1);
  Member other(2);
  std::vector<PolicyReply> told;
  for (std::uint8_t author = 3; author < 6; ++author) {
    Member maker(author);
    for (std::size_t i = 0; i < limits::namespaces_max; ++i) {
      REQUIRE(maker.change(creation("n" + std::to_string(author) + "-" + std::to_string(i))));
    }
    told.push_back(maker.policies.answer({}));
  }
  const auto tell = [](Member& member, const PolicyReply& reply) {
    Turn at = member.turn();
    member.policies.on_reply(at, member.author, reply);
  };
  for (const PolicyReply& reply : told) tell(one, reply);
  std::reverse(told.begin(), told.end());
  for (const PolicyReply& reply : told) tell(other, reply);
  CHECK(one.policies.all().size() == limits::namespaces_heard_max);
  CHECK(one.policies.digest() == other.policies.digest());
}

TEST_CASE("a policy that comes from a clock ahead of this one is not changed here", "[policies]") {
  Member ahead(1);
  Member behind(2);
  behind.now.wall_ms -= 30'000;
  REQUIRE(ahead.change(creation("carts")));
  CHECK(behind.hear(ahead));
  CHECK(behind.change(change_of("carts")).error().code == ErrorCode::clock_skew);
}

TEST_CASE("a device whose clock is behind changes a policy after it has heard of it", "[policies]") {
  Member one(1);
  Member behind(2);
  behind.now.wall_ms -= 5000;
  REQUIRE(one.change(creation("carts", Conflict::newest)));
  CHECK(behind.hear(one));
  PolicyRequest request = change_of("carts");
  request.conflict = Conflict::siblings;
  REQUIRE(behind.change(request));
  CHECK(one.hear(behind));
  CHECK(one.policies.of("carts/x").conflict == Conflict::siblings);
}

TEST_CASE("a member is not asked again at once, nor one that has none", "[policies]") {
  Member one(1);
  Member other(2);
  REQUIRE(one.change(creation("carts")));
  CHECK_FALSE(one.hear(other));
  Turn at = other.turn();
  other.policies.on_digest(at, node(1), 7);
  other.policies.on_digest(at, node(1), 8);
  CHECK(other.out.sends.size() == 1);
  other.now.instant += 3s;
  Turn later = other.turn();
  other.policies.on_digest(later, node(1), 8);
  CHECK(other.out.sends.size() == 2);
}

TEST_CASE("a policy that is not what a member signed, or says what is not known, is not taken", "[policies]") {
  const Member author(9);
  const VersionVector nothing;
  const crypto::Bytes value = encode(Policy{.conflict = Conflict::siblings});
  crypto::Bytes later_version = value;
  later_version[0] = 2;
  crypto::Bytes unknown_conflict = value;
  unknown_conflict[1] = 9;
  crypto::Bytes endless = value;
  std::fill(endless.begin() + 4, endless.end(), 0xff);
  crypto::Bytes many_copies = value;
  many_copies[2] = limits::quorum_max + 1;
  Entry entry{.seq = seq_at(author.now.wall_ms), .bytes = value};
  const auto draft = [&](std::string_view key) {
    return RecordDraft{.key = key,
                       .actor = author.author.actor(),
                       .seq = entry.seq,
                       .context = &nothing,
                       .entries = std::span(&entry, 1)};
  };
  CHECK(is_taken(draft("sys/ns/carts"), author));
  CHECK_FALSE(is_taken(draft("sys/carts"), author));
  CHECK_FALSE(is_taken(draft("default/carts"), author));
  CHECK_FALSE(is_taken(draft("sys/ns/sys"), author));
  for (const crypto::Bytes& bytes : {later_version, unknown_conflict, many_copies, endless, crypto::Bytes{}}) {
    entry.bytes = bytes;
    CHECK_FALSE(is_taken(draft("sys/ns/carts"), author));
  }
  entry.bytes = value;
  const VersionVector seen = tests::versions({{7, 8}});
  RecordDraft with_past = draft("sys/ns/carts");
  with_past.context = &seen;
  CHECK_FALSE(is_taken(with_past, author));
  entry.expires_ms = author.now.wall_ms + 1;
  CHECK_FALSE(is_taken(draft("sys/ns/carts"), author));
  entry.expires_ms = 0;
  entry.seq = seq_at(author.now.wall_ms + limits::skew_shared_ms + 1000);
  CHECK_FALSE(is_taken(draft("sys/ns/carts"), author));

  Member reader(2);
  entry.seq = seq_at(author.now.wall_ms);
  crypto::Bytes forged = Record::sign(draft("sys/ns/carts"), author.signatures).bytes();
  forged.back() ^= 1U;
  PolicyReply reply;
  reply.records.push_back(forged);
  Turn at = reader.turn();
  reader.policies.on_reply(at, reader.author, reply);
  CHECK(reader.policies.all().empty());
}

TEST_CASE("policies are there after a restart, but for those that another mesh signed", "[policies]") {
  Member member(1);
  REQUIRE(member.change(creation("carts")));
  member.store.commit();
  Policies again(member.signatures);
  again.load(member.store, member.author, member.now.wall_ms);
  CHECK(again.of("carts/x").conflict == Conflict::siblings);
  CHECK(again.digest() == member.policies.digest());
  Member other(2);
  REQUIRE(other.change(creation("foreign")));
  crypto::Bytes foreign = other.policies.all().begin()->second.record.bytes();
  foreign.back() ^= 1U;  // as another mesh's signature is, not valid here
  member.store.keep_policy(hash_key("sys/ns/foreign"), foreign);
  member.store.commit();
  Policies later(member.signatures);
  later.load(member.store, member.author, member.now.wall_ms);
  CHECK(later.all().size() == 1);
}

TEST_CASE("nothing is stored in sys/ as other records are", "[policies]") {
  Desk desk("sys/ns/carts");
  PutRequest request;
  request.value = {1};
  desk.ask(request);
  CHECK(desk.error().code == ErrorCode::denied);
  Member member(1);
  REQUIRE(member.change(creation("carts")));
  const Record& record = member.policies.all().begin()->second.record;
  Store store{.purpose = StorePurpose::write, .records = {record.bytes()}};
  CHECK(desk.replica.store(desk.now.wall_ms, store, desk.author).reply.answers[0].reason == ErrorCode::denied);
}

// ---- at the coordinator

namespace {

// A desk in a namespace with this policy.
struct PolicyDesk : Desk {
  explicit PolicyDesk(PolicyRequest request) : Desk(request.name + "/x") {
    Turn at = turn();
    coordinator.set_policy(at, request);
    store.commit();
    out = {};
  }

  void put(const std::string& value, const crypto::Bytes& token = {}, std::optional<WallMs> ttl_ms = std::nullopt) {
    PutRequest request;
    request.value.assign(value.begin(), value.end());
    request.token = token;
    request.ttl_ms = ttl_ms;
    ask(request);
  }

  ReadAnswer read() {
    GetRequest request;
    request.key = key;
    Turn at = turn();
    coordinator.get(at, request);
    answer_reads(store.read(hash_key(key)).rows);
    commit();
    REQUIRE(out.completions.size() == 1);
    return std::get<ReadAnswer>(std::exchange(out.completions, {}).front().outcome);
  }
};

Rows sibling_of(const std::string& key) {
  Member other(9);
  Rows rows;
  const auto authored =
      other.author.write({.key = key, .value = crypto::as_bytes("theirs")}, {}, {}, other.now.wall_ms);
  merge_record(rows, authored->record);
  return rows;
}

}  // namespace

TEST_CASE("a write without a version replaces the siblings that R replicas show", "[policies]") {
  PolicyDesk desk(creation("carts"));
  desk.put("mine");
  const Rows theirs = sibling_of(desk.key);
  desk.answer_reads(theirs);
  desk.receipt();
  CHECK(supersedes(desk.own(), theirs.front().record));
}

TEST_CASE("a write with a version reads nothing first, and leaves what its client has not seen", "[policies]") {
  PolicyDesk desk(creation("carts"));
  desk.put("first");
  desk.answer_reads({});
  const Receipt first = desk.receipt();
  desk.put("second", first.version);
  CHECK(desk.asked<Fetch>().empty());
  desk.receipt();
  desk.put("third", first.version);
  desk.receipt();
  const ReadAnswer answer = desk.read();
  CHECK(answer.conflict == Conflict::siblings);
  CHECK(answer.values.size() == 2);
}

TEST_CASE("where the newest wins, a write reads nothing first", "[policies]") {
  PolicyDesk desk(creation("plain", Conflict::newest));
  desk.put("mine");
  CHECK(desk.asked<Fetch>().empty());
  desk.receipt();
}

TEST_CASE("a value without a life of its own lives as long as its namespace's policy says", "[policies]") {
  PolicyRequest request = creation("sessions", Conflict::newest);
  request.ttl_ms = 5000;
  PolicyDesk desk(request);
  desk.put("a");
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == desk.now.wall_ms + 5000);
  desk.put("b", {}, 70);
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == desk.now.wall_ms + 70);
  desk.put("c", {}, 0);
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == 0);
  PutRequest deletion;
  deletion.kind = EntryKind::tombstone;
  desk.ask(deletion);
  desk.answer_reads({});
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == 0);
}

TEST_CASE("R and W are the policy's", "[policies]") {
  PolicyRequest request = creation("strict", Conflict::newest);
  request.r = 3;
  request.w = 3;
  PolicyDesk desk(request);
  desk.put("a");
  const std::vector<Send> stores = desk.asked<Store>();
  REQUIRE(stores.size() == 2);
  const auto confirm = [&](const Send& send) {
    StoreReply reply;
    reply.answers.push_back({.status = StoreStatus::stored, .reason = {}, .seen = {}});
    desk.reply(send.to, send.message.request_id, std::move(reply));
  };
  confirm(stores[0]);
  CHECK(desk.out.completions.empty());
  confirm(stores[1]);
  CHECK(desk.receipt().copies == 3);
  CHECK(desk.read().wanted == 3);
}

TEST_CASE("a request that says R or W itself is not asked for the policy's", "[policies]") {
  PolicyRequest request = creation("strict", Conflict::newest);
  request.r = 3;
  request.w = 3;
  PolicyDesk desk(request);
  PutRequest put;
  put.w = 1;
  desk.ask(put);
  desk.commit();
  REQUIRE(desk.out.completions.size() == 1);
  CHECK(std::get<Receipt>(std::exchange(desk.out.completions, {}).front().outcome).copies == 1);
  GetRequest get;
  get.key = desk.key;
  get.r = 1;
  Turn at = desk.turn();
  desk.coordinator.get(at, get);
  desk.commit();
  REQUIRE(desk.out.completions.size() == 1);
  CHECK(std::get<ReadAnswer>(desk.out.completions.front().outcome).wanted == 1);
}

TEST_CASE("a client that goes on writing without having read adds no more than a hundred siblings", "[policies]") {
  PolicyDesk desk(creation("carts"));
  desk.put("first");
  desk.answer_reads({});
  const Receipt first = desk.receipt();
  for (std::size_t i = 0; i < limits::siblings_max; ++i) {
    desk.put("value " + std::to_string(i), first.version);
    desk.receipt();
  }
  desk.put("one more", first.version);
  CHECK(desk.error().code == ErrorCode::quota);
  const ReadAnswer all = desk.read();
  CHECK(all.values.size() == limits::siblings_max);
  desk.put("settled", all.version);
  desk.receipt();
  CHECK(desk.read().values.size() == 1);
}

TEST_CASE("a policy that says nothing of the cache is what earlier versions read", "[policies]") {
  const Policy plain{.conflict = Conflict::siblings, .r = 1, .w = 2, .ttl_ms = 3};
  const crypto::Bytes bytes = encode(plain);
  CHECK(bytes.size() == 12);
  CHECK(bytes.front() == 1);
  CHECK(read_policy(bytes) == plain);
}

TEST_CASE("a policy with a cache is read as it was written, and no other length or word is one", "[policies]") {
  const Policy cached{.conflict = Conflict::newest, .r = 1, .w = 2, .ttl_ms = 3, .cache = Cache::through};
  crypto::Bytes bytes = encode(cached);
  CHECK(read_policy(bytes) == cached);
  bytes.back() = 2;
  CHECK_FALSE(read_policy(bytes));
  bytes.pop_back();
  CHECK_FALSE(read_policy(bytes));
  bytes.clear();
  CHECK_FALSE(read_policy(bytes));
}

TEST_CASE("a strong namespace has no cache", "[policies]") {
  Member member(1);
  PolicyRequest request = creation("locks");
  request.conflict = Conflict::strong;
  request.cache = Cache::through;
  CHECK(member.change(request).error().code == ErrorCode::invalid);
}

}  // namespace kith::dht
