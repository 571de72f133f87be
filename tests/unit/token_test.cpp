// SPDX-License-Identifier: MIT
#include "dht/model/token.h"

#include <map>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "crypto/hash.h"
#include "dht/model/limits.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

const DataKey data_key = crypto::blake2b_256({crypto::as_bytes("data key")});
const KeyHash key = hash_key("default/key");
const VersionVector sample = tests::versions({{5, 50}, {7, 70}});

TEST_CASE("a token carries any version vector there and back", "[token]") {
  CHECK(rc::check([](const std::map<std::uint64_t, std::uint64_t>& seqs) {
    VersionVector context;
    for (const auto& [tag, seq] : seqs) context.raise(tag, seq);
    RC_ASSERT(open_token(seal_token(context, key, data_key), key, data_key) == context);
  }));
  CHECK(open_token(seal_token({}, key, data_key), key, data_key) == VersionVector{});
}

TEST_CASE("no changed bit and no truncation of a token is accepted", "[token]") {
  const crypto::Bytes good = seal_token(sample, key, data_key);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    crypto::Bytes bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    CHECK_FALSE(open_token(bad, key, data_key));
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(open_token(crypto::ByteSpan(good).first(size), key, data_key));
  }
}

TEST_CASE("a token serves one key in one mesh", "[token]") {
  const crypto::Bytes token = seal_token(sample, key, data_key);
  CHECK_FALSE(open_token(token, hash_key("default/other"), data_key));
  CHECK_FALSE(open_token(token, key, crypto::blake2b_256({crypto::as_bytes("another mesh")})));
  KeyHash same_prefix = key;
  same_prefix.bytes[31] ^= 1;
  CHECK_FALSE(open_token(token, same_prefix, data_key));
}

TEST_CASE("the largest context that a record can have fits a token", "[token]") {
  VersionVector context;
  for (ActorTag tag = 1; tag <= limits::context_entries_max; ++tag) context.raise(tag, tag);
  CHECK(open_token(seal_token(context, key, data_key), key, data_key) == context);
}

}  // namespace
}  // namespace kith::dht
