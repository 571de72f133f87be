// SPDX-License-Identifier: MIT
#include "dht/wire.h"

#include <array>
#include <new>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/messages.h"

namespace kith::dht {
namespace {

using crypto::Bytes;
using tests::id_of;

const Message* message_in(const ReadResult& result) { return std::get_if<Message>(&result); }
bool is_malformed(const Bytes& bytes) { return std::holds_alternative<Malformed>(read_message(bytes)); }

Bytes hex(std::string_view text) { return crypto::from_hex(text).value(); }

// A payload of any kind and method over the map in `map_hex`.
Bytes payload(std::uint8_t kind, std::uint8_t method, std::string_view map_hex) {
  Bytes bytes{kind, method, 0, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(kind == 3 ? 0 : 9)};
  const auto map = hex(map_hex);
  bytes.insert(bytes.end(), map.begin(), map.end());
  return bytes;
}

// The bytes as a field of a map.
std::string binary(const std::string& hex) {
  return "c4" + crypto::to_hex(Bytes{static_cast<std::uint8_t>(hex.size() / 2)}) + hex;
}

// What a peer may make us hold while a payload is read, beyond what it sent.
bool outcome_is_sane(const Bytes& bytes) {
  const auto result = read_message(bytes);
  const auto* message = message_in(result);
  return message == nullptr || !write_message(*message).empty();
}

MemberUpdate update_with_contact(std::uint8_t fill, std::size_t contact_bytes) {
  return {id_of(fill), MemberState::alive, 1, {}, Bytes(contact_bytes, fill)};
}

}  // namespace

TEST_CASE("what is written is read back the same", "[wire]") {
  CHECK(rc::check([] {
    const auto bytes = write_message(*tests::arbitrary_message());
    const auto result = read_message(bytes);
    RC_ASSERT(message_in(result) != nullptr);
    RC_ASSERT(write_message(*message_in(result)) == bytes);
  }));
}

TEST_CASE("no byte of a message can be cut off", "[wire]") {
  for (const auto& [name, message] : tests::sample_messages()) {
    auto bytes = write_message(message);
    INFO(name);
    while (!bytes.empty()) {
      bytes.pop_back();
      CHECK(is_malformed(bytes));
    }
  }
}

TEST_CASE("nothing may follow a message", "[wire]") {
  for (const auto& [name, message] : tests::sample_messages()) {
    auto bytes = write_message(message);
    bytes.push_back(0xc0);
    INFO(name);
    CHECK(is_malformed(bytes));
  }
}

TEST_CASE("a message with any byte replaced is read as some message or as none", "[wire]") {
  for (const auto& [name, message] : tests::sample_messages()) {
    const auto bytes = write_message(message);
    INFO(name);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const int value : {0x00, 0x7f, 0x80, 0xc1, 0xc6, 0xc9, 0xdb, 0xdd, 0xdf, 0xff, bytes[at] ^ 1}) {
        auto mutated = bytes;
        mutated[at] = static_cast<std::uint8_t>(value);
        REQUIRE(outcome_is_sane(mutated));
      }
    }
  }
}

TEST_CASE("claimed counts allocate nothing", "[wire]") {
  // store {"r": array of 2^32-1 items}, the same as bin, str, map, and inside an unknown field.
  for (const auto* claim : {"ddffffffff", "ddff000000", "c6ffffffff", "dbffffffff", "dfffffffff", "dcffff", "deffff"}) {
    INFO(claim);
    CHECK(is_malformed(payload(1, 5, std::string("82a17000a172") + claim)));
    CHECK(is_malformed(payload(1, 5, std::string("83a17000a17290a17a") + claim)));
    CHECK(is_malformed(payload(1, 5, claim)));
  }
}

TEST_CASE("deep nesting is refused", "[wire]") {
  auto bytes = payload(1, 5, "81a172");
  bytes.insert(bytes.end(), 100'000, 0x91);
  CHECK(is_malformed(bytes));
  auto maps = payload(1, 5, "81a172");
  for (int i = 0; i < 50'000; ++i) maps.insert(maps.end(), {0x81, 0xa1, 0x61});
  CHECK(is_malformed(maps));
}

TEST_CASE("many small arrays cannot grow into much memory", "[wire]") {
  auto bytes = payload(1, 5, "81a172dc03e8");
  for (int i = 0; i < 1000; ++i) {
    bytes.insert(bytes.end(), {0xdc, 0x03, 0xe8});
    bytes.insert(bytes.end(), 1000, 0xc0);
  }
  CHECK(is_malformed(bytes));
}

TEST_CASE("extension types, duplicate names and names that are no short text are refused", "[wire]") {
  CHECK(is_malformed(payload(3, 2, "81a17ad40000")));      // fixext 1
  CHECK(is_malformed(payload(3, 2, "81a17ac900000000")));  // ext 32
  CHECK(is_malformed(payload(3, 2, "82a17a00a17a00")));    // twice
  CHECK(is_malformed(payload(3, 2, "810100")));            // a number
  CHECK(is_malformed(payload(3, 2, "81a0c0")));            // empty
  CHECK(is_malformed(payload(3, 2, "81a1ffc0")));          // not ASCII
  CHECK(is_malformed(payload(3, 2, "81b16161616161616161616161616161616161c0")));
  CHECK(message_in(read_message(payload(3, 2, "81a17ac0"))) != nullptr);
}

TEST_CASE("a field of another type is refused, not converted", "[wire]") {
  // find {"t": …, "c": …} with a good position and a bad count, then the other way round.
  const std::string position = "a174c420" + crypto::to_hex(id_of(1).bytes);
  CHECK(message_in(read_message(payload(1, 3, "82" + position + "a16301"))) != nullptr);
  for (const auto* count : {"ff", "cd0100", "cb3ff0000000000000", "c3", "c0", "a131", "c40101", "90", "80"}) {
    INFO(count);
    CHECK(is_malformed(payload(1, 3, "82" + position + "a163" + count)));
  }
  for (const auto* target : {"00", "a0", "c400", "c40101", "90", "80", "c0"}) {
    INFO(target);
    CHECK(is_malformed(payload(1, 3, std::string("82a174") + target + "a16301")));
  }
}

TEST_CASE("digests of members are for one range at least, and for no more than there are", "[wire]") {
  const std::string after = "82a161c420" + crypto::to_hex(id_of(0).bytes) + "a164";
  const auto is_taken = [&](const std::string& digests) {
    return message_in(read_message(payload(1, 16, after + digests))) != nullptr;
  };
  CHECK(is_taken("c4050001020304"));          // depth 0
  CHECK(is_taken("c409010102030405060708"));  // depth 1, both
  CHECK(is_taken("c4050c01020304"));          // depth 12, the last
  CHECK_FALSE(is_taken("c40100"));
  CHECK_FALSE(is_taken("c400"));
  CHECK_FALSE(is_taken("c4040001020304"));
  CHECK_FALSE(is_taken("c409000102030405060708"));
  CHECK_FALSE(is_taken("c4050d01020304"));
}

TEST_CASE("ranges of members rise, and are no more than a page has", "[wire]") {
  const auto is_taken = [&](std::size_t first, std::size_t count) {
    std::string ranges;
    for (std::size_t i = first; i < first + count; ++i) {
      const std::array bytes{static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i)};
      ranges += crypto::to_hex(bytes);
    }
    const std::array size{static_cast<std::uint8_t>(count >> 7U), static_cast<std::uint8_t>(2 * count)};
    return message_in(read_message(payload(2, 16, "82a16d90a164c5" + crypto::to_hex(size) + ranges))) != nullptr;
  };
  CHECK(is_taken(7, limits::member_ranges_per_page));
  CHECK_FALSE(is_taken(7, limits::member_ranges_per_page + 1));
  CHECK(is_malformed(payload(2, 16, "82a16d90a164c40400020001")));
  CHECK(is_malformed(payload(2, 16, "82a16d90a164c40400020002")));
  CHECK(is_malformed(payload(2, 16, "82a16d90a164c403000200")));
}

TEST_CASE("ranges of keys rise, do not meet, and are no more than a digest may be made of", "[wire]") {
  const auto is_read = [](const std::vector<KeyRange>& ranges) {
    const Fetch fetch{.form = FetchForm::ranges, .keys = {}, .ranges = ranges};
    return message_in(read_message(write_message({.request_id = 7, .body = fetch, .gossip = {}}))) != nullptr;
  };
  std::vector<KeyRange> many;
  for (std::uint64_t i = 0; i < limits::ranges_max; ++i) many.push_back({.first = 2 * i, .last = 2 * i});
  CHECK(is_read(many));
  many.push_back({.first = 1000, .last = 1000});
  CHECK_FALSE(is_read(many));
  CHECK(is_read({{.first = 1, .last = 4}, {.first = 5, .last = 5}}));
  CHECK_FALSE(is_read({{.first = 1, .last = 4}, {.first = 4, .last = 5}}));
  CHECK_FALSE(is_read({{.first = 7, .last = 8}, {.first = 4, .last = 5}}));
  CHECK_FALSE(is_read({{.first = 5, .last = 4}}));
  CHECK_FALSE(is_read({}));
}

TEST_CASE("digests that a fetch is answered with are of known states, whole, and not zero", "[wire]") {
  const std::string digest = "0102030405060708090a0b0c0d0e0f10";
  const auto with = [](const std::string& packed) { return payload(2, 4, "81a164" + binary(packed)); };
  const auto result = read_message(with("80" + digest + "04"));
  REQUIRE(message_in(result) != nullptr);
  CHECK(std::get<FetchReply>(message_in(result)->body).answers.size() == 2);
  CHECK(is_malformed(with("05")));
  CHECK(is_malformed(with("85" + digest)));
  CHECK(is_malformed(with("80" + digest.substr(2))));
  CHECK(is_malformed(with("80" + std::string(32, '0'))));
  const auto is_read = [](std::size_t count) {
    const FetchReply reply{std::vector(count, FetchAnswer{})};
    return message_in(read_message(write_message({.request_id = 7, .body = reply, .gossip = {}}))) != nullptr;
  };
  CHECK(is_read(limits::batch_items_max));
  CHECK_FALSE(is_read(limits::batch_items_max + 1));
}

TEST_CASE("ranges of keys end where keys do, and are written in one way", "[wire]") {
  const auto with = [](const std::string& packed) { return payload(1, 4, "82a16602a172" + binary(packed)); };
  CHECK(message_in(read_message(with("fffffffffffffffe0101"))) != nullptr);
  CHECK(is_malformed(with("fffffffffffffffe0102")));
  CHECK(is_malformed(with("00000000000000010100")));
  CHECK(is_malformed(with("0000000000000001020001")));
  CHECK(is_malformed(with("000000000000000109000000000000000001")));
  CHECK(is_malformed(with("0000000000000001")));
}

TEST_CASE("fields of a newer version are ignored", "[wire]") {
  const auto result = read_message(
      payload(1, 16, "83a27a7a9301cb3ff0000000000000c3a161c420" + crypto::to_hex(id_of(9).bytes) + "a17881a17900"));
  REQUIRE(message_in(result) != nullptr);
  CHECK(std::get<Members>(message_in(result)->body).after == id_of(9));
}

TEST_CASE("a method of a newer version is told apart from garbage", "[wire]") {
  const auto request = read_message(payload(1, 200, "81a161c0"));
  REQUIRE(std::holds_alternative<UnknownMethod>(request));
  CHECK(std::get<UnknownMethod>(request).request_id == 9);
  const auto one_way = read_message(payload(3, 200, "80"));
  REQUIRE(std::holds_alternative<UnknownMethod>(one_way));
  CHECK(std::get<UnknownMethod>(one_way).request_id == 0);
  CHECK(is_malformed(payload(2, 200, "80")));
  CHECK(is_malformed(payload(1, 200, "c0")));
}

TEST_CASE("exactly the one-way messages have no request id", "[wire]") {
  auto request = payload(1, 16, "81a161c420" + crypto::to_hex(id_of(9).bytes));
  CHECK_FALSE(is_malformed(request));
  request[9] = 0;
  CHECK(is_malformed(request));
  auto one_way = payload(3, 2, "80");
  CHECK_FALSE(is_malformed(one_way));
  one_way[9] = 1;
  CHECK(is_malformed(one_way));
  CHECK(is_malformed(payload(0, 2, "80")));
  CHECK(is_malformed(payload(4, 2, "80")));
}

TEST_CASE("lists longer than their limit are refused", "[wire]") {
  Message contacts{.request_id = 1, .body = FindReply{}, .gossip = {}};
  std::get<FindReply>(contacts.body).contacts.resize(limits::contacts_per_reply + 1);
  CHECK(is_malformed(write_message(contacts)));
  Message keys{.request_id = 1, .body = Fetch{}, .gossip = {}};
  std::get<Fetch>(keys.body).keys.resize(limits::batch_items_max);
  CHECK_FALSE(is_malformed(write_message(keys)));
  std::get<Fetch>(keys.body).keys.resize(limits::batch_items_max + 1);
  CHECK(is_malformed(write_message(keys)));
}

TEST_CASE("a fetch asks about a name that a namespace may have, and about no longer one", "[wire][quota]") {
  Message message{.request_id = 1, .body = Fetch{}, .gossip = {}};
  std::string& name = std::get<Fetch>(message.body).usage_of;
  name.assign(limits::namespace_bytes_max, 'a');
  CHECK_FALSE(is_malformed(write_message(message)));
  name += 'a';
  CHECK(is_malformed(write_message(message)));
}

TEST_CASE("as many ages as answers are read, and no other number", "[wire]") {
  const std::string one_answer = "82a164c40100a177";
  CHECK_FALSE(is_malformed(payload(2, 4, one_answer + "c4080000000000000001")));
  CHECK(is_malformed(payload(2, 4, one_answer + "c400")));
  CHECK(is_malformed(payload(2, 4, one_answer + "c41000000000000000010000000000000001")));
}

TEST_CASE("a version vector out of order or with a tag twice is refused", "[wire]") {
  // store reply {"a": [{"s": 0, "v": bin of two entries}]}
  const std::string start = "81a1619182a17300a176c420";
  const std::string one = "00000000000000010000000000000005", two = "00000000000000020000000000000005";
  CHECK_FALSE(is_malformed(payload(2, 5, start + one + two)));
  CHECK(is_malformed(payload(2, 5, start + two + one)));
  CHECK(is_malformed(payload(2, 5, start + one + one)));
  CHECK(is_malformed(payload(2, 5,
                             "81a1619182a17300a176c401"
                             "00")));
}

TEST_CASE("gossip that finds no room in a datagram leaves in messages of its own", "[wire]") {
  Message message{.request_id = 1, .body = Ping{}, .gossip = {}};
  for (std::uint8_t i = 1; i <= 8; ++i) message.gossip.push_back(update_with_contact(i, 400));
  const auto payloads = write_for_datagrams(message);
  REQUIRE(payloads.size() > 1);
  std::vector<NodeId> told;
  for (const auto& bytes : payloads) {
    CHECK(bytes.size() <= limits::datagram_plaintext_bytes_max);
    const auto result = read_message(bytes);
    REQUIRE(message_in(result) != nullptr);
    CHECK(message_in(result)->body.index() == (told.empty() ? Body(Ping{}) : Body(Gossip{})).index());
    for (const auto& update : message_in(result)->gossip) told.push_back(update.node);
  }
  CHECK(told == std::vector{id_of(1), id_of(2), id_of(3), id_of(4), id_of(5), id_of(6), id_of(7), id_of(8)});
}

TEST_CASE("a body too large for a datagram is one payload for the stream", "[wire]") {
  Message message{.request_id = 1, .body = Store{StorePurpose::write, {Bytes(2000)}}, .gossip = {}};
  message.gossip.push_back(update_with_contact(1, 100));
  CHECK(write_for_datagrams(message) == std::vector<Bytes>{write_message(message)});
}

}  // namespace kith::dht
