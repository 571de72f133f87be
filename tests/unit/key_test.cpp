// SPDX-License-Identifier: MIT
#include "dht/model/key.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "crypto/hash.h"
#include "dht/model/limits.h"
#include "tests/support/hash_signatures.h"

namespace kith::dht {
namespace {

const NodeId self = node_id_of(tests::numbered_key(1));

std::string canonical(std::string_view typed) {
  const auto key = canonical_key(typed, self);
  return key ? *key : std::string("error: ") + to_string(key.error().code);
}

TEST_CASE("a typed key takes its full form", "[key]") {
  CHECK(canonical("shopping") == "default/shopping");
  CHECK(canonical("notes/shopping") == "notes/shopping");
  CHECK(canonical("notes/2026/shopping") == "notes/2026/shopping");
  CHECK(canonical("@me/lid") == "@" + to_text(self) + "/lid");
  CHECK(canonical("@" + to_text(self) + "/lid") == "@" + to_text(self) + "/lid");
  CHECK(canonical("@me") == "default/@me");
  CHECK(canonical(std::string("a\0b", 3)) == std::string("default/a\0b", 11));
}

TEST_CASE("a malformed key is refused with its reason", "[key]") {
  CHECK(canonical("") == "error: invalid");
  CHECK(canonical("notes/") == "error: invalid");
  CHECK(canonical("/shopping") == "error: invalid");
  CHECK(canonical("my notes/shopping") == "error: invalid");
  CHECK(canonical(std::string("a\0b/c", 5)) == "error: invalid");
  CHECK(canonical("@someone/lid") == "error: invalid");
  CHECK(canonical("blob/hash") == "error: invalid");
}

TEST_CASE("a name may have 1,024 bytes in any namespace, and no more", "[key]") {
  const std::string longest(limits::key_name_bytes_max, 'k');
  CHECK(canonical(longest) == "default/" + longest);
  CHECK(canonical("notes/" + longest) == "notes/" + longest);
  CHECK(canonical(longest + "k") == "error: too_large");
  CHECK(canonical(std::string(limits::namespace_bytes_max + 1, 'n') + "/k") == "error: too_large");
  const auto refused = canonical_key(longest + "k", self);
  CHECK(refused.error().message == "the key's name has 1025 bytes; the limit key_name_bytes_max is 1024");
  CHECK(canonical(std::string(limits::namespace_bytes_max, 'n') + "/" + longest).size() == limits::key_bytes_max);
}

TEST_CASE("what is canonical stays as it is, and nothing else is canonical", "[key]") {
  CHECK(rc::check([](const std::string& typed) {
    const auto key = canonical_key(typed, self);
    if (key) {
      RC_ASSERT(is_canonical(*key));
      RC_ASSERT(*canonical_key(*key, self) == *key);
    }
    RC_ASSERT(is_canonical(typed) == (key && *key == typed));
  }));
  CHECK_FALSE(is_canonical("shopping"));
  CHECK_FALSE(is_canonical("@me/lid"));
}

TEST_CASE("the hash of a key parts namespace and name", "[key]") {
  CHECK(hash_key("shopping") == hash_key("default/shopping"));
  CHECK(hash_key("a/bc") != hash_key("ab/c"));
  CHECK(hash_key("a/b/c") != hash_key("a/b"));
}

TEST_CASE("only the reserved forms have an owner or a hash", "[key]") {
  CHECK(owner_of("@" + to_text(self) + "/lid") == self);
  CHECK_FALSE(owner_of("default/lid"));
  CHECK_FALSE(owner_of("@me/lid"));
  const auto hash = crypto::blake2b_256({crypto::as_bytes("value")});
  const auto named = blob_hash_of("blob/" + crypto::to_base32(hash));
  REQUIRE(named);
  CHECK(*named == crypto::Bytes(hash.begin(), hash.end()));
  CHECK_FALSE(blob_hash_of("default/" + crypto::to_base32(hash)));
}

TEST_CASE("an owned key has one spelling", "[key]") {
  std::string shouted = "@" + to_text(self);
  for (char& c : shouted) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(canonical(shouted + "/lid") == "error: invalid");
}

}  // namespace
}  // namespace kith::dht
