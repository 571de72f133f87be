// SPDX-License-Identifier: MIT
// The bytes of a record, a contact and a token (docs/wire.md), made by another implementation of BLAKE2b, Ed25519
// and X25519. A change of what stands here breaks every mesh that runs an older version.
#include <string_view>

#include <catch2/catch.hpp>

#include "dht/model/contact.h"
#include "dht/model/counter.h"
#include "dht/model/crypto_signatures.h"
#include "dht/model/merge.h"
#include "dht/model/record.h"
#include "dht/model/token.h"

namespace kith::dht {
namespace {

constexpr std::string_view golden_record =
    "0100"                                                              // version, flags
    "dcddb8e5b2b0d5a9172f20e77c03681aecd45793f4601026f8155889709dbb9f"  // hash of "notes/shopping"
    "35f73cce23027cc6a2ce6e315d4b8e046ae67173a57c11bd4d72f084ccf19c8d"  // author
    "0102030405060708"                                                  // run
    "01a0c4506c000002"                                                  // seq
    "00020002000e"                      // 2 in the context, 2 entries, a key of 14 bytes
    "6e6f7465732f73686f7070696e67"      // key
    "111111111111111101a0c45044f00007"  // context: tag, seq
    "eeeeeeeeeeeeeeee01a0c4501de00000"
    "01a0c45068180000"                  // entry: seq
    "01"                                // a value
    "0000000000000000"                  // that never expires
    "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"  // op id
    "00000004"
    "6d696c6b"                          // "milk"
    "01a0c4506c000002"                  // entry: seq
    "01"                                // a value
    "000001a0c45993c0"                  // that expires
    "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"  // op id
    "00000005"
    "6272656164"                                                                                // "bread"
    "9fc6fa05e14223fada1ecf0967c6b6ddb444709de34feb9a8eefd45a8dad3419893b4dd57e2f0a40a41410b7"  // signature
    "c390d63d1db219f858c1716890b52ed91fdc940e";

constexpr std::string_view golden_contact =
    "010002020604"                                                      // version, flags, weight, 2 endpoints, lengths
    "35f73cce23027cc6a2ce6e315d4b8e046ae67173a57c11bd4d72f084ccf19c8d"  // signing key
    "48cfe356a624310cc16f3e5f425be3bd3b184078f807212196729f26f3e51118"  // exchange key
    "000001a0c4506c00"                                                  // incarnation
    "00000000000000000000ffffc0a80107156c"                              // 192.168.1.7:5484
    "fe800000000000000000000000000001156d"                              // [fe80::1]:5485
    "4bc3bc636865"                                                      // name
    "686f6d65"                                                          // zone
    "9510dbaefad348587359ae9b336188d77a6909ecfe654ff726eaf5ed35ac885481498d4a62378f9e0f16a780"  // signature
    "b9a4fd266883d9366785d1f108bb57e4f4c0a70e";

constexpr std::string_view golden_token =
    "01"                                 // version
    "dcddb8e5b2b0d5a9"                   // start of the key's hash
    "111111111111111101a0c45044f00007"   // tag, seq
    "eeeeeeeeeeeeeeee01a0c4501de00000"   // tag, seq
    "0342d8289cc536788c87e2cf19514eb1";  // mac

constexpr WallMs noon = 1'790'000'000'000;
const std::vector<VersionEntry> seen{{0x1111111111111111, seq_at(noon - 10'000) + 7},
                                     {0xeeeeeeeeeeeeeeee, seq_at(noon - 20'000)}};

// The node whose seed is 00 01 … 1f, in the mesh a0 a1 … af.
struct Signer {
  crypto::NodeKeys keys = crypto::NodeKeys::from_seed(crypto::Secret<32>(counting<32>(0)));
  CryptoSignatures signatures{keys, counting<16>(0xa0)};

  template <std::size_t N>
  static std::array<std::uint8_t, N> counting(std::uint8_t first) {
    std::array<std::uint8_t, N> bytes;
    for (std::size_t i = 0; i < N; ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
    return bytes;
  }
};

OpId op_id_of(std::uint8_t fill) {
  OpId op_id;
  op_id.fill(fill);
  return op_id;
}

VersionVector context() {
  VersionVector vector;
  vector.join(seen);
  return vector;
}

Record record(const Signer& signer) {
  const VersionVector vector = context();
  const std::vector<Entry> entries{
      {.seq = seq_at(noon - 1'000), .op_id = op_id_of(0x0a), .bytes = crypto::as_bytes("milk")},
      {.seq = seq_at(noon) + 2,
       .expires_ms = noon + 600'000,
       .op_id = op_id_of(0x0b),
       .bytes = crypto::as_bytes("bread")}};
  return Record::sign({.key = "notes/shopping",
                       .actor = {.author = signer.keys.signing_public(), .run = 0x0102030405060708},
                       .seq = seq_at(noon) + 2,
                       .context = &vector,
                       .entries = entries},
                      signer.signatures);
}

TEST_CASE("a record has the bytes of docs/wire.md", "[record][golden]") {
  const Signer signer;
  CHECK(crypto::to_hex(record(signer).bytes()) == golden_record);
  const auto read = Record::parse(*crypto::from_hex(golden_record));
  REQUIRE(read);
  CHECK(read->has_valid_signature(signer.signatures));
  CHECK(read->tag() == 0xdd47968ed9c14f6b);
}

TEST_CASE("a share and what a reset took away have the bytes of docs/wire.md", "[record][golden]") {
  const Share share{.birth = 0x0102030405060708, .sums = {.increments = 300, .decrements = 2}};
  const std::string digits = "0102030405060708000000000000012c0000000000000002";
  CHECK(crypto::to_hex(encode(share)) == digits);
  Shares taken;
  taken.raise(0xa1a2a3a4a5a6a7a8, share);
  CHECK(crypto::to_hex(taken.encode()) == "a1a2a3a4a5a6a7a8" + digits);
}

TEST_CASE("a contact has the bytes of docs/wire.md", "[contact][golden]") {
  const Signer signer;
  Contact fields;
  fields.incarnation = noon;
  fields.weight = 2;
  fields.endpoints = {*endpoint_from_text("192.168.1.7:5484"), *endpoint_from_text("[fe80::1]:5485")};
  fields.name = "Küche";
  fields.zone = "home";
  CHECK(crypto::to_hex(sign_contact(fields, signer.signatures).bytes) == golden_contact);
  const auto read = read_contact(*crypto::from_hex(golden_contact), signer.signatures);
  REQUIRE(read);
  CHECK(to_text(read->id) == "jy7gklhduk2yalj7d6q5cfgrcq4rpa4ljdizt2irql5psiw2zdqq");
  CHECK(crypto::to_hex(virtual_position(read->signing_key, 3).bytes) ==
        "6e67aca2464b61fbf994e6b6eea094f5d76d3746a85d34179104dba192a5e994");
}

TEST_CASE("a token has the bytes of docs/wire.md", "[token][golden]") {
  DataKey data_key;
  data_key.fill(0x77);
  const KeyHash key = hash_key("notes/shopping");
  CHECK(crypto::to_hex(seal_token(context(), key, data_key)) == golden_token);
  CHECK(open_token(*crypto::from_hex(golden_token), key, data_key) == context());
}

TEST_CASE("a digest of rows has the bytes of docs/wire.md", "[merge][golden]") {
  DataKey data_key;
  data_key.fill(0x77);
  Rows rows;
  merge_record(rows, record(Signer()));
  CHECK(crypto::to_hex(digest_of(rows, data_key)) == "4d319b0e72691dcc97aa0599ba5b951b");
}

TEST_CASE("a statement of one mesh means nothing in another", "[record][contact]") {
  const Signer signer;
  const CryptoSignatures elsewhere(signer.keys, Signer::counting<16>(0xb0));
  CHECK_FALSE(record(signer).has_valid_signature(elsewhere));
  CHECK_FALSE(read_contact(*crypto::from_hex(golden_contact), elsewhere));
}

}  // namespace
}  // namespace kith::dht
