// SPDX-License-Identifier: MIT
#include "daemon/rpc_results.h"

#include <functional>

#include <catch2/catch.hpp>

#include "dht/model/manifest.h"

using namespace kith::daemon;
namespace crypto = kith::crypto;
namespace dht = kith::dht;

namespace {

// A result as a client reads it.
class Received {
 public:
  explicit Received(const std::function<void(RpcWriter&)>& write) {
    RpcWriter writer(bytes_);
    write(writer.response(1).nil());
    REQUIRE(reader_.read(bytes_) == RpcRead::message);
    REQUIRE(reader_.consumed() == bytes_.size());
  }
  RpcValue operator[](std::string_view name) const { return reader_.message().result[name]; }
  RpcValue whole() const { return reader_.message().result; }

 private:
  crypto::Bytes bytes_;
  RpcReader reader_{RpcLimits{}};
};

dht::ReadAnswer answer_with(const std::vector<dht::EntryKind>& kinds) {
  dht::ReadAnswer answer;
  answer.key = "default/k";
  dht::Seq seq = 100;
  for (const dht::EntryKind kind : kinds)
    answer.values.push_back({.bytes = {'v'}, .kind = kind, .author = {}, .seq = seq--});
  return answer;
}

Received read_result(const dht::ReadAnswer& answer, Shown shown) {
  return Received([&](RpcWriter& w) {
    w.map(read_fields(answer));
    write_read_fields(w, answer, shown);
  });
}

std::vector<RpcValue> elements(const RpcValue& list) {
  std::vector<RpcValue> all;
  list.for_each([&](const RpcValue& each) { all.push_back(each); });
  return all;
}

constexpr auto value = dht::EntryKind::value;
constexpr auto tombstone = dht::EntryKind::tombstone;

}  // namespace

TEST_CASE("a policy with a quota tells how full its namespace is, nil while that is unknown", "[rpc][quota]") {
  const auto told = [](std::uint64_t quota, std::optional<std::uint64_t> bytes) {
    return Received([&](RpcWriter& w) { write_policy(w, "carts", dht::Policy{.quota_bytes = quota}, bytes); });
  };
  CHECK(told(100, 70)["bytes"].number() == 70);
  CHECK(told(100, 70).whole().size() == 9);
  CHECK_FALSE(told(100, std::nullopt)["bytes"].number());
  CHECK(told(100, std::nullopt).whole().size() == 9);
  CHECK(told(0, std::nullopt).whole().size() == 8);
}

TEST_CASE("a receipt has the documented fields", "[rpc]") {
  dht::Receipt receipt;
  receipt.key = "default/k";
  receipt.copies = 2;
  receipt.wanted = 3;
  receipt.hints = 1;
  receipt.durable = true;
  receipt.took = std::chrono::microseconds(1500);
  const Received result([&](RpcWriter& w) {
    w.map(receipt_fields(receipt));
    write_receipt_fields(w, receipt);
  });
  CHECK(result["key"].text() == "default/k");
  CHECK(result["copies"].number() == 2);
  CHECK(result["wanted"].number() == 3);
  CHECK(result["hints"].number() == 1);
  CHECK(result["queued"].number() == 0);
  CHECK(result["durable"].boolean() == true);
  CHECK(result["took_ms"].real() == 1.5);
}

TEST_CASE("a reader of the newest sees one value", "[rpc]") {
  const Received result = read_result(answer_with({value, value}), Shown::newest);
  CHECK(result["found"].boolean() == true);
  const auto values = elements(result["values"]);
  REQUIRE(values.size() == 1);
  CHECK(values[0]["seq"].number() == 100);
  CHECK(values[0]["expires_ms"].is_nil());
  CHECK(values[0]["tombstone"].is_nil());
}

TEST_CASE("a newest entry that deletes is not found, though older values stand beside it", "[rpc]") {
  const Received result = read_result(answer_with({tombstone, value}), Shown::newest);
  CHECK(result["found"].boolean() == false);
  CHECK(result["values"].size() == 0);
}

TEST_CASE("a reader of all sees siblings and tombstones", "[rpc]") {
  const Received result = read_result(answer_with({tombstone, value}), Shown::all);
  CHECK(result["found"].boolean() == true);
  const auto values = elements(result["values"]);
  REQUIRE(values.size() == 2);
  CHECK(values[0]["tombstone"].boolean() == true);
  CHECK(read_result(answer_with({tombstone}), Shown::all)["found"].boolean() == false);
}

TEST_CASE("a reader in a namespace of siblings sees all of them, and no tombstone", "[rpc]") {
  dht::ReadAnswer answer = answer_with({tombstone, value, value});
  answer.conflict = dht::Conflict::siblings;
  const Received result = read_result(answer, Shown::newest);
  CHECK(result["found"].boolean() == true);
  CHECK(result["values"].size() == 2);
  answer = answer_with({tombstone});
  answer.conflict = dht::Conflict::siblings;
  CHECK(read_result(answer, Shown::newest)["found"].boolean() == false);
}

TEST_CASE("a counter says that it is one", "[rpc]") {
  const Received result = read_result(answer_with({dht::EntryKind::counter}), Shown::newest);
  CHECK(elements(result["values"])[0]["counter"].boolean() == true);
  CHECK(elements(result["values"])[0]["tombstone"].is_nil());
}

TEST_CASE("a manifest says how large the blob is", "[rpc]") {
  dht::ReadAnswer answer = answer_with({dht::EntryKind::manifest});
  answer.values[0].bytes =
      dht::encode(dht::Manifest{.form = {.bytes = 70'000, .chunk_bytes = 65'536}, .hashes = {{}, {}}});
  const Received result = read_result(answer, Shown::newest);
  CHECK(result["found"].boolean() == true);
  const auto values = elements(result["values"]);
  CHECK(values[0]["manifest"]["bytes"].number() == 70'000);
  CHECK(values[0]["manifest"]["chunk_bytes"].number() == 65'536);
  CHECK(values[0]["manifest"]["chunks"].number() == 2);
  CHECK(values[0]["value"].bytes()->size() == 14 + 64);
}

TEST_CASE("chunks are told of in the order in which they were asked for", "[rpc]") {
  const dht::ChunksAnswer answer{
      .chunks = {{.copies = 3, .wanted = 3, .needed = 2, .is_own = true}, {.away = 1, .wanted = 3, .needed = 2}}};
  const Received result([&](RpcWriter& w) { write_chunks(w, answer); });
  const auto chunks = elements(result["chunks"]);
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0]["copies"].number() == 3);
  CHECK(chunks[0]["own"].boolean() == true);
  CHECK(chunks[1]["copies"].number() == 0);
  CHECK(chunks[1]["away"].number() == 1);
  CHECK(chunks[1]["wanted"].number() == 3);
  CHECK(chunks[1]["needed"].number() == 2);
}

TEST_CASE("an absent key is an answer with a version", "[rpc]") {
  dht::ReadAnswer answer = answer_with({});
  answer.version = {1, 2, 3};
  const Received result = read_result(answer, Shown::newest);
  CHECK(result["found"].boolean() == false);
  CHECK(result["version"].bytes()->size() == 3);
}

TEST_CASE("a timeout tells what was reached and other errors do not", "[rpc]") {
  dht::Receipt so_far;
  so_far.copies = 1;
  const auto detail_of = [&](dht::ErrorCode code) {
    return Received([&](RpcWriter& w) { write_error(w, {code, "why"}, &so_far); });
  };
  CHECK(detail_of(dht::ErrorCode::timeout)["detail"]["copies"].number() == 1);
  CHECK(detail_of(dht::ErrorCode::timeout)["code"].text() == "timeout");
  CHECK(detail_of(dht::ErrorCode::denied)["detail"].is_nil());
}

TEST_CASE("a page ends with nil or a cursor", "[rpc]") {
  dht::ScanAnswer page;
  page.keys = {"default/a", std::string("default/\xFF", 9)};
  const auto write = [&](RpcWriter& w) { write_scan(w, page); };
  CHECK(Received(write)["next"].is_nil());
  page.next = dht::KeyHash{};
  const Received result(write);
  CHECK(result["next"].bytes()->size() == 32);
  CHECK(elements(result["keys"])[1].bytes()->size() == 9);
}
