// SPDX-License-Identifier: MIT
#include "crypto/stream_cipher.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace kith::tests {
namespace {

using namespace kith::crypto;

CipherState key() { return CipherState(Secret<32>(counting<32>())); }

Bytes finished_stream(ByteSpan content) {
  StreamSealer sealer(key());
  Bytes wire;
  sealer.seal(content, wire);
  sealer.finish(wire);
  return wire;
}

// A frame as a sealer would never make it.
Bytes frame_of(ByteSpan plaintext) {
  auto cipher = key();
  Bytes sealed;
  REQUIRE(cipher.encrypt_with_ad({}, plaintext, sealed));
  return handshake_frame(sealed);
}

}  // namespace

TEST_CASE("a stream arrives whole however it is cut into reads", "[stream]") {
  CHECK(rc::check([] {
    Bytes content(*rc::gen::inRange<std::size_t>(0, 60'000));
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::uint8_t>(i * 7);
    const auto wire = finished_stream(content);
    StreamOpener opener(key());
    Bytes arrived;
    for (std::size_t begin = 0; begin < wire.size();) {
      RC_ASSERT(opener.state() == StreamState::open);
      const auto size = std::min(*rc::gen::inRange<std::size_t>(1, 20'000), wire.size() - begin);
      opener.receive(ByteSpan(wire).subspan(begin, size), arrived);
      begin += size;
    }
    RC_ASSERT(opener.state() == StreamState::finished);
    RC_ASSERT(arrived == content);
  }));
}

TEST_CASE("a stream read byte by byte arrives whole", "[stream]") {
  const auto wire = finished_stream(as_bytes("a few bytes"));
  StreamOpener opener(key());
  Bytes arrived;
  for (const auto byte : wire) opener.receive(ByteSpan(&byte, 1), arrived);
  CHECK(opener.state() == StreamState::finished);
  CHECK(arrived == bytes_of("a few bytes"));
}

TEST_CASE("a stream cut at any byte is not finished", "[stream]") {
  StreamSealer sealer(key());
  Bytes wire;
  for (const auto* const text : {"first frame", "second frame", "third"}) sealer.seal(as_bytes(text), wire);
  sealer.finish(wire);
  for (std::size_t length = 0; length < wire.size(); ++length) {
    StreamOpener opener(key());
    Bytes arrived;
    INFO("cut to " << length);
    REQUIRE(opener.receive(ByteSpan(wire).first(length), arrived) == StreamState::open);
  }
}

TEST_CASE("a stream with any single bit changed never finishes", "[stream]") {
  StreamSealer sealer(key());
  Bytes wire;
  for (const auto* const text : {"one", "two"}) sealer.seal(as_bytes(text), wire);
  sealer.finish(wire);
  const std::string content = "onetwo";
  for (std::size_t bit = 0; bit < wire.size() * 8; ++bit) {
    StreamOpener opener(key());
    Bytes arrived;
    opener.receive(flipped(wire, bit), arrived);
    INFO("bit " << bit);
    REQUIRE(opener.state() != StreamState::finished);
    REQUIRE(content.compare(0, arrived.size(), std::string(arrived.begin(), arrived.end())) == 0);
  }
}

TEST_CASE("frames out of order, doubled or dropped break a stream", "[stream]") {
  StreamSealer sealer(key());
  Bytes first;
  Bytes second;
  sealer.seal(as_bytes("first"), first);
  sealer.seal(as_bytes("second"), second);
  const auto state_after = [](std::initializer_list<ByteSpan> frames) {
    StreamOpener opener(key());
    Bytes arrived;
    for (const auto frame : frames) opener.receive(frame, arrived);
    return opener.state();
  };
  CHECK(state_after({first, second}) == StreamState::open);
  CHECK(state_after({second}) == StreamState::broken);
  CHECK(state_after({first, first}) == StreamState::broken);
}

TEST_CASE("bytes behind the end break a stream", "[stream]") {
  auto wire = finished_stream(as_bytes("content"));
  Bytes arrived;
  SECTION("in the same read") {
    wire.push_back(0);
    StreamOpener opener(key());
    CHECK(opener.receive(wire, arrived) == StreamState::broken);
  }
  SECTION("in a later one") {
    StreamOpener opener(key());
    REQUIRE(opener.receive(wire, arrived) == StreamState::finished);
    CHECK(opener.receive({}, arrived) == StreamState::finished);
    CHECK(opener.receive(as_bytes("x"), arrived) == StreamState::broken);
    CHECK(opener.receive({}, arrived) == StreamState::broken);
  }
}

TEST_CASE("authentic frames that make no sense break a stream", "[stream]") {
  for (const auto& plaintext :
       {Bytes{}, Bytes{2}, Bytes{0xff, 1, 2}, Bytes{1}, Bytes(41, 1), Bytes{1, 0, 0, 0, 0, 0, 0, 0, 0}}) {
    StreamOpener opener(key());
    Bytes arrived;
    INFO(to_hex(plaintext));
    CHECK(opener.receive(frame_of(plaintext), arrived) == StreamState::broken);
    CHECK(arrived.empty());
  }
}

TEST_CASE("a frame's length is refused before its bytes are waited for", "[stream]") {
  for (const auto* const start : {"0000", "0010", "4011", "ffff"}) {
    StreamOpener opener(key());
    Bytes arrived;
    INFO(start);
    CHECK(opener.receive(unhex(start), arrived) == StreamState::broken);
  }
  for (const auto* const start : {"0011", "4010"}) {
    StreamOpener opener(key());
    Bytes arrived;
    INFO(start);
    CHECK(opener.receive(unhex(start), arrived) == StreamState::open);
  }
}

TEST_CASE("a long write becomes frames of the greatest size", "[stream]") {
  StreamSealer sealer(key());
  Bytes wire;
  sealer.seal(Bytes(2 * frame_payload_bytes_max + 1), wire);
  CHECK(wire.size() == 2 * (2 + 16384 + 16) + 2 + 2 + 16);
  CHECK(frame_length(wire) == 16384 + 16);
}

TEST_CASE("both sides change keys after every 65,536 frames", "[stream]") {
  StreamSealer sealer(key());
  StreamOpener opener(key());
  Bytes last_of_first_key;
  Bytes first_of_next;
  for (std::uint64_t i = 0; i <= 2 * frames_per_key; ++i) {
    Bytes wire;
    sealer.seal(as_bytes("x"), wire);
    if (i == frames_per_key - 1) last_of_first_key = wire;
    if (i == frames_per_key) first_of_next = wire;
    Bytes arrived;
    REQUIRE(opener.receive(wire, arrived) == StreamState::open);
    REQUIRE(arrived.size() == 1);
  }
  const auto opens_with_first_key = [](const Bytes& wire, std::uint64_t nonce) {
    auto cipher = key();
    cipher.set_nonce(nonce);
    Bytes out;
    return cipher.decrypt_with_ad({}, ByteSpan(wire).subspan(2), out);
  };
  CHECK(opens_with_first_key(last_of_first_key, frames_per_key - 1));
  CHECK_FALSE(opens_with_first_key(first_of_next, frames_per_key));
}

}  // namespace kith::tests
