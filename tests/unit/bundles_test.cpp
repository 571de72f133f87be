// SPDX-License-Identifier: MIT
#include "dht/replication/bundles.h"

#include <catch2/catch.hpp>

#include "crypto/hash.h"
#include "dht/model/limits.h"
#include "tests/support/replication.h"

namespace kith::dht {

using test::node;
using namespace std::chrono_literals;

namespace {

Send fetch_of(std::uint64_t id, const NodeId& to, FetchForm form = FetchForm::digest) {
  return {
      .to = to,
      .message = {.request_id = id, .body = Fetch{.form = form, .keys = {hash_key("default/" + std::to_string(id))}}}};
}

Outputs fetches(std::size_t count, const NodeId& to) {
  Outputs out;
  for (std::size_t i = 1; i <= count; ++i) out.sends.push_back(fetch_of(i, to));
  return out;
}

const Fetch& fetch_in(const Send& send) { return std::get<Fetch>(send.message.body); }
const FetchReply& reply_in(const BundledAnswer& part) { return std::get<FetchReply>(part.body); }

FetchAnswer found(bool with_record) {
  FetchAnswer answer{.status = FetchStatus::found, .records = {}};
  if (with_record) answer.records.push_back(crypto::Bytes{1});
  return answer;
}

Bundle bundle_of(std::vector<std::uint64_t> requests) {
  return {.to = node(2), .left = Instant{1s}, .form = FetchForm::records, .requests = std::move(requests)};
}

}  // namespace

TEST_CASE("fetches that leave together for one node are one message", "[bundles]") {
  Bundles bundles(crypto::Rng(crypto::Hash256{}));
  Outputs out = fetches(3, node(2));
  bundles.pack(Instant{1s}, node(1), 0, out);
  REQUIRE(out.sends.size() == 1);
  CHECK(fetch_in(out.sends[0]).keys.size() == 3);
  const auto bundle = bundles.take(node(2), out.sends[0].message.request_id);
  REQUIRE(bundle);
  CHECK(bundle->requests == std::vector<std::uint64_t>{1, 2, 3});
}

TEST_CASE("a fetch that asks how full a namespace is travels by itself", "[bundles][quota]") {
  Bundles bundles(crypto::Rng(crypto::Hash256{}));
  Outputs out = fetches(3, node(2));
  std::get<Fetch>(out.sends[1].message.body).usage_of = "carts";
  bundles.pack(Instant{1s}, node(1), 0, out);
  REQUIRE(out.sends.size() == 2);
  CHECK(fetch_in(out.sends[0]).keys.size() == 2);
  CHECK(fetch_in(out.sends[1]).usage_of == "carts");
}

TEST_CASE("a fetch alone keeps its request id", "[bundles]") {
  Bundles bundles(crypto::Rng(crypto::Hash256{}));
  Outputs out = fetches(1, node(2));
  out.sends.push_back(fetch_of(2, node(3)));
  out.sends.push_back(fetch_of(3, node(2), FetchForm::records));
  bundles.pack(Instant{1s}, node(1), 0, out);
  REQUIRE(out.sends.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(out.sends[i].message.request_id == i + 1);
}

TEST_CASE("what left before this turn, waits for a commit, or is for this node itself stays as it is", "[bundles]") {
  Bundles bundles(crypto::Rng(crypto::Hash256{}));
  Outputs out = fetches(2, node(2));
  out.sends.push_back(fetch_of(3, node(2)));
  out.sends.push_back(fetch_of(4, node(2)));
  out.sends.back().release = Release::after_commit;
  out.sends.push_back(fetch_of(5, node(1)));
  out.sends.push_back(fetch_of(6, node(1)));
  bundles.pack(Instant{1s}, node(1), 2, out);
  CHECK(out.sends.size() == 6);
}

TEST_CASE("a bundle has a limit, and what is more goes in another one", "[bundles]") {
  Bundles bundles(crypto::Rng(crypto::Hash256{}));
  Outputs out = fetches(limits::bundle_keys_max + 2, node(2));
  bundles.pack(Instant{1s}, node(1), 0, out);
  REQUIRE(out.sends.size() == 2);
  CHECK(fetch_in(out.sends[0]).keys.size() == limits::bundle_keys_max);
  CHECK(fetch_in(out.sends[1]).keys.size() == 2);
}

TEST_CASE("a bundle is answered once, and by nobody but whom it was sent to", "[bundles]") {
  Bundles bundles(crypto::Rng(crypto::Hash256{}));
  Outputs out = fetches(2, node(2));
  bundles.pack(Instant{1s}, node(1), 0, out);
  const std::uint64_t id = out.sends[0].message.request_id;
  CHECK_FALSE(bundles.take(node(3), id));
  CHECK(bundles.take(node(2), id));
  CHECK_FALSE(bundles.take(node(2), id));
}

TEST_CASE("bundles that nobody answers are forgotten, the oldest first", "[bundles]") {
  Bundles bundles(crypto::Rng(crypto::Hash256{}));
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i <= limits::bundles_max; ++i) {
    Outputs out = fetches(2, node(2));
    bundles.pack(Instant{1s}, node(1), 0, out);
    ids.push_back(out.sends[0].message.request_id);
  }
  CHECK_FALSE(bundles.take(node(2), ids.front()));
  CHECK(bundles.take(node(2), ids[1]));
}

TEST_CASE("each request gets its own part of the answer", "[bundles]") {
  FetchReply reply{{found(true), {.status = FetchStatus::absent, .records = {}}}};
  const auto parts = take_apart(bundle_of({7, 8}), reply);
  REQUIRE(parts.size() == 2);
  CHECK(parts[0].request == 7);
  CHECK(reply_in(parts[0]).answers.front().status == FetchStatus::found);
  CHECK(parts[1].request == 8);
  CHECK(reply_in(parts[1]).answers.front().status == FetchStatus::absent);
}

TEST_CASE("what found no room beside other records is to be asked for again", "[bundles]") {
  const auto parts = take_apart(bundle_of({7, 8}), FetchReply{{found(true), found(false)}});
  CHECK_FALSE(parts[0].was_left_out);
  CHECK(parts[1].was_left_out);
}

TEST_CASE("a node that claims records and gives none at all is not asked again", "[bundles]") {
  for (const BundledAnswer& part : take_apart(bundle_of({7, 8}), FetchReply{{found(false), found(false)}})) {
    CHECK_FALSE(part.was_left_out);
  }
}

TEST_CASE("an answer of another length, or of another kind, is none to anybody", "[bundles]") {
  const Body bodies[] = {FetchReply{{found(true)}}, ScanReply{}};
  for (const Body& body : bodies) {
    const auto parts = take_apart(bundle_of({7, 8}), body);
    REQUIRE(parts.size() == 2);
    for (const BundledAnswer& part : parts) CHECK(std::holds_alternative<Unsupported>(part.body));
  }
}

}  // namespace kith::dht
