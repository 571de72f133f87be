// SPDX-License-Identifier: MIT
#include "tests/support/handshakes.h"

namespace kith::tests {

using namespace kith::crypto;

namespace {

constexpr std::uint32_t caller_index = 0x11223344;
constexpr std::uint32_t called_index = 0x55667788;

}  // namespace

Secret<32> secret(std::uint8_t byte) {
  ByteArray<32> bytes;
  bytes.fill(byte);
  return Secret<32>(bytes);
}

LocalParty party(std::uint8_t byte, const TestMesh& mesh) {
  return {NodeKeys::from_seed(tests::secret(byte)), mesh.net_id, mesh.secret};
}

InitiatorHandshake start_call(const LocalParty& caller, const LocalParty& called, Transport transport) {
  const Dial dial{.exchange_public = called.identity().exchange_public,
                  .signing_public = called.identity().signing_public,
                  .transport = transport,
                  .index = caller_index,
                  .cookie = std::nullopt};
  return InitiatorHandshake::start(caller, dial, tests::secret(101)).value();
}

ResponderHandshake::Answer answer_call(const InitiatorHandshake& call, const LocalParty& called) {
  const auto init = CheckedInit::check(called, call.packet()).value();
  auto handshake = ResponderHandshake::open(called, Transport::datagram, init).value();
  return handshake.respond(called, called_index, tests::secret(102));
}

std::pair<DatagramCipher, DatagramCipher> connect(const LocalParty& caller, const LocalParty& called) {
  const auto call = start_call(caller, called);
  const auto answer = answer_call(call, called);
  return {DatagramCipher(call.on_response(caller, answer.packet).value(), caller_index),
          DatagramCipher(answer.session, called_index)};
}

}  // namespace kith::tests
