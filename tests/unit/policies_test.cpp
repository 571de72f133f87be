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

TEST_CASE("a policy that says no more than an earlier version knows is written in that version", "[policies]") {
  CHECK(encode(Policy{}).size() == 12);
  CHECK(encode(Policy{.cache = Cache::through}).size() == 13);
  const Policy whole{.conflict = Conflict::siblings,
                     .r = 1,
                     .w = 2,
                     .ttl_ms = 3,
                     .cache = Cache::through,
                     .durability = Durability::write_back,
                     .quota_bytes = 1ULL << 40U};
  for (const Policy& policy : {Policy{}, Policy{.cache = Cache::through}, Policy{.quota_bytes = 7}, whole}) {
    CHECK(read_policy(encode(policy)) == policy);
  }
}

TEST_CASE("what is no policy of any version is not read as one", "[policies]") {
  const crypto::Bytes whole = encode(Policy{.durability = Durability::write_back});
  const std::size_t byte = GENERATE(0, 1, 2, 3, 12, 13);
  crypto::Bytes strange = whole;
  strange[byte] = 99;
  INFO(byte);
  CHECK_FALSE(read_policy(strange));
  CHECK_FALSE(read_policy({}));
  crypto::Bytes longer = whole;
  longer.push_back(0);
  CHECK_FALSE(read_policy(longer));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK_FALSE(read_policy(crypto::ByteSpan(whole).first(size)));
  }
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
