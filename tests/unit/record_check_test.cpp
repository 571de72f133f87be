// SPDX-License-Identifier: MIT
#include "dht/model/record_check.h"

#include <catch2/catch.hpp>

#include "crypto/hash.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using tests::record_of;
using tests::versions;

constexpr WallMs noon = 1'790'000'000'000;
const tests::HashSignatures signatures(9);  // whoever checks

std::string refusal(const Record& record) {
  const auto error = check_record(record, signatures, noon);
  return error ? to_string(error->code) : "none";
}

TEST_CASE("a good record is refused by nobody", "[record]") {
  CHECK(refusal(record_of({.seq = seq_at(noon)})) == "none");
}

TEST_CASE("a record whose signature fails is refused", "[record]") {
  crypto::Bytes bytes = record_of({.seq = seq_at(noon)}).bytes();
  bytes.back() ^= 1;
  CHECK(refusal(*Record::parse(bytes)) == "denied");
}

TEST_CASE("only its owner may write an owned key", "[record]") {
  const std::string key = "@" + to_text(node_id_of(tests::numbered_key(1))) + "/lid";
  CHECK(refusal(record_of({.author = 1, .key = key})) == "none");
  CHECK(refusal(record_of({.author = 2, .key = key})) == "denied");
}

TEST_CASE("a blob holds what its key says, or is deleted", "[record]") {
  const std::string key = "blob/" + crypto::to_base32(crypto::blake2b_256({crypto::as_bytes("value")}));
  CHECK(refusal(record_of({.value = "value", .key = key})) == "none");
  CHECK(refusal(record_of({.value = "other", .key = key})) == "invalid");
  CHECK(refusal(record_of({.seq = 2, .value = "value", .older = {{1, "other"}}, .key = key})) == "invalid");
  CHECK(refusal(record_of({.value = "", .key = key, .kind = EntryKind::tombstone})) == "none");
}

TEST_CASE("a seq more than 60 s ahead is refused on a shared key, and the writer is told why", "[record]") {
  CHECK(refusal(record_of({.seq = seq_at(noon + 60'000)})) == "none");
  const Record ahead = record_of({.seq = seq_at(noon + 61'000)});
  CHECK(refusal(ahead) == "clock_skew");
  CHECK(check_skew(ahead, noon)->message.find("61 s ahead") != std::string::npos);
  CHECK(check_skew(ahead, noon)->message.find("skew_shared_ms is 60000") != std::string::npos);
  CHECK_FALSE(check_skew(record_of({.seq = seq_at(noon - 3'600'000)}), noon));
}

TEST_CASE("a context that reaches into the future is refused like a seq", "[record]") {
  CHECK(refusal(record_of({.seq = seq_at(noon), .context = versions({{42, seq_at(noon + 61'000)}})})) == "clock_skew");
  CHECK(refusal(record_of({.seq = seq_at(noon), .context = versions({{42, seq_at(noon + 60'000)}})})) == "none");
}

TEST_CASE("an owner's clock may be wrong on its own keys", "[record]") {
  const std::string key = "@" + to_text(node_id_of(tests::numbered_key(1))) + "/lid";
  CHECK(refusal(record_of({.author = 1, .seq = seq_at(noon + 3'600'000), .key = key})) == "none");
}

}  // namespace
}  // namespace kith::dht
