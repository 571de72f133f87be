// SPDX-License-Identifier: MIT
// Golden bytes of the handshake, a session and a stream. They were computed by a second implementation, in Python
// from docs/wire.md and the Noise specification with OpenSSL's primitives; what differs from them cannot talk to
// nodes that are out there.
#include <catch2/catch.hpp>

#include "crypto/stream_cipher.h"
#include "tests/support/bytes.h"
#include "tests/support/handshakes.h"

namespace kith::tests {
namespace {

using namespace kith::crypto;

constexpr std::string_view init =
    "0100000044332211fb41b1fcf75c1227fa08876056a5ed07ac44fe0c116ec2de80b8e523959d78244b4eaf531373b649"
    "98dbf34d3e81f497b327ef848e257e46e08e704becb2efabf4ce27d5c04a0e84597fb8fca5ea6bc977bc9e23681f01f8"
    "15dbf1a8b1e226e6dbf25221df73eb39f28d949c068d631d208af447d034ece7768c8d6e264a3ef8a8b0a8c1a9c10597"
    "ef88e9a30ad52f57d20fe72c5f589b9646079c7169f038890dcf787fd14d4195e2c23c435820d60aae69754eaf95c009"
    "a49feea1a44504119ca423bb31d93f53661d446354210d0a0552042a00000000000000000000000000000000";

constexpr std::string_view response =
    "020000008877665544332211219e4d800da968d2a5fcb009c784f4746c7138edb9ee4844b739e830b05cf4241c8137e7"
    "0694ee874acab2c6bf3386461389a4bd4fb6dad2d9936ce8deb5f5c4242662ac6c0e79a0632a5366a7fa5b1dad37572c"
    "5894ff66a612ee807009a9cb5f87e34e7f5ef6263b48c484df72ab1f326131a6fdaab883e9f76fe81f2aa912e08df072"
    "9ea79eb9fe25846cd5ce671469817f9ce35256a164168c31bba3d954a45de2c900000000000000000000000000000000";

constexpr std::string_view data_to_bob = "04000000887766550000000000000000b25daa979351dfc5711523a48fce1877334a8f6d48bc";

constexpr std::string_view data_to_alice =
    "0400000044332211000000000000000066c03a7f7f4a94bb55ce38403fba9081be16a86530c6a8bc";

constexpr std::string_view stream =
    "001518d32b45c5c3465327b190ebd5a6906438f3d0a96f00399e53f35fb52aaf182991624f8e02ed7bcde134b0b3860b"
    "633ac802fd6178fdc52c87eb12619f37d12de056bd2b11968b1a13ec2f371abf8869";

}  // namespace

TEST_CASE("the handshake of two known nodes has these bytes for ever", "[papers][handshake]") {
  const auto alice = party(1);
  const auto bob = party(2);
  const auto call = start_call(alice, bob);
  CHECK(to_hex(call.packet()) == init);
  CHECK(to_hex(answer_call(call, bob).packet) == response);
}

TEST_CASE("the first data of a known session has these bytes for ever", "[papers][datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  CHECK(to_hex(alice.seal(as_bytes("to bob")).value()) == data_to_bob);
  CHECK(to_hex(bob.seal(as_bytes("to alice")).value()) == data_to_alice);
}

TEST_CASE("a known stream has these bytes for ever", "[papers][stream]") {
  StreamSealer sealer(CipherState(Secret<32>(counting<32>())));
  Bytes wire;
  sealer.seal(as_bytes("kith"), wire);
  sealer.finish(wire);
  CHECK(to_hex(wire) == stream);
}

}  // namespace kith::tests
