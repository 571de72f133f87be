// SPDX-License-Identifier: MIT
// A datagram from anybody, at a node with fixed keys that waits for answers and has sessions. The input is tried as
// it came and again under a true mac1, since a mutation never finds one; nothing may be accepted that the fuzzer's
// own side did not say.
#include <cstdlib>

#include "crypto/datagram_cipher.h"
#include "tests/support/handshakes.h"

namespace {

using namespace kith::crypto;
namespace tests = kith::tests;

const LocalParty alice = tests::party(1);
const LocalParty bob = tests::party(2);
const InitiatorHandshake call = tests::start_call(alice, bob);
const ResponderHandshake::Answer answer = tests::answer_call(call, bob);

void require(bool claim) {
  if (!claim) std::abort();
}

Bytes with_true_macs(Bytes packet, const LocalParty& receiver) {
  packet.resize(packet.size() - 32);
  receiver.mac_keys().append_macs(std::nullopt, packet);
  return packet;
}

void hear_init(ByteSpan packet) {
  const auto checked = CheckedInit::check(bob, packet);
  if (!checked) return;
  Rng rng(ByteArray<32>{});
  const CookieJar jar(rng);
  jar.check_mac2(packet, {});
  require(bob.mac_keys().seal_cookie(packet, jar.cookie_for({}), rng).size() == cookie_reply_bytes);
  auto handshake = ResponderHandshake::open(bob, Transport::datagram, *checked);
  if (!handshake) return;
  require(handshake->peer() == alice.identity());
  require(handshake->respond(bob, 1, tests::secret(105)).packet.size() == response_bytes);
}

void hear_response(ByteSpan packet) {
  const auto session = call.on_response(alice, packet);
  require(!session || session->peer == bob.identity());
}

void hear_data(ByteSpan packet) {
  DatagramCipher session(answer.session, tests::called_index);
  OpenedData opened;
  require(session.open(packet, opened) != DataVerdict::accepted);
}

void hear(const Bytes& packet) {
  const auto type = packet_type(packet);
  if (!type) return;
  switch (*type) {
    case PacketType::init:
      hear_init(packet);
      return hear_init(with_true_macs(packet, bob));
    case PacketType::response:
      hear_response(packet);
      return hear_response(with_true_macs(packet, alice));
    case PacketType::cookie:
      call.on_cookie(packet);
      return;
    case PacketType::data:
      return hear_data(packet);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hear(Bytes(data, data + size));
  return 0;
}
