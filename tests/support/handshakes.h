// SPDX-License-Identifier: MIT
// Two nodes that shake hands, for tests and fuzzers.
#pragma once

#include <utility>

#include "crypto/datagram_cipher.h"
#include "crypto/handshake.h"

namespace kith::tests {

inline constexpr std::uint32_t caller_index = 0x11223344;
inline constexpr std::uint32_t called_index = 0x55667788;

// A secret that is 32 times this byte.
inline crypto::Secret<32> secret(std::uint8_t byte) {
  crypto::ByteArray<32> bytes;
  bytes.fill(byte);
  return crypto::Secret<32>(bytes);
}

struct TestMesh {
  crypto::NetId net_id{1, 2, 3};
  crypto::Secret<32> secret = tests::secret(42);
};

// The node whose seed is 32 times this byte.
inline crypto::LocalParty party(std::uint8_t byte, const TestMesh& mesh = {}) {
  return {crypto::NodeKeys::from_seed(tests::secret(byte)), mesh.net_id, mesh.secret};
}

inline crypto::InitiatorHandshake start_call(const crypto::LocalParty& caller, const crypto::LocalParty& called,
                                             crypto::Transport transport = crypto::Transport::datagram) {
  const crypto::Dial dial{.exchange_public = called.identity().exchange_public,
                          .signing_public = called.identity().signing_public,
                          .transport = transport,
                          .index = caller_index};
  return crypto::InitiatorHandshake::start(caller, dial, tests::secret(101)).value();
}

// Requires: that `called` accepts it.
inline crypto::ResponderHandshake::Answer answer_call(const crypto::InitiatorHandshake& call,
                                                      const crypto::LocalParty& called) {
  const auto init = crypto::CheckedInit::check(called, call.packet()).value();
  auto handshake = crypto::ResponderHandshake::open(called, crypto::Transport::datagram, init).value();
  return handshake.respond(called, called_index, tests::secret(102));
}

// A session: the caller's end and the called one's.
inline std::pair<crypto::DatagramCipher, crypto::DatagramCipher> connect(const crypto::LocalParty& caller,
                                                                         const crypto::LocalParty& called) {
  const auto call = start_call(caller, called);
  const auto answer = answer_call(call, called);
  return {crypto::DatagramCipher(call.on_response(caller, answer.packet).value(), caller_index),
          crypto::DatagramCipher(answer.session, called_index)};
}

}  // namespace kith::tests
