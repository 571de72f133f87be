// SPDX-License-Identifier: MIT
// kith's handshake: Noise_IKpsk2 in the packets of packet.h, one round trip, no clock.
//
//   initiator                                          responder
//   InitiatorHandshake::start ── INIT ──► CheckedInit::check     mac1: does the sender know us and the mesh?
//                                         ResponderHandshake::open   es, s, ss, payload, binding: who is it?
//   on_response            ◄── RESP ───── respond
//   Established                           Established, but not to be trusted before its first valid DATA
//
// The types stand in for the order: nothing can be opened that did not pass mac1, nothing answered that did not
// prove its binding. What a table entry, a rate or a time-out is, the session layer knows.
#pragma once

#include "crypto/envelope.h"
#include "crypto/keys.h"
#include "crypto/noise.h"

namespace kith::crypto {

inline constexpr std::uint8_t wire_version = 1;

// Part of the prologue: a handshake made for one road cannot be replayed on the other.
enum class Transport : std::uint8_t { datagram = 'U', stream = 'T' };

// "kith/1" padded to 8 ‖ net id ‖ transport ‖ wire version: both sides must agree on it, or no message opens.
using Prologue = ByteArray<26>;
Prologue prologue(const NetId& net_id, Transport transport);

// What the handshake proves about the other side.
struct PeerIdentity {
  PublicKey signing_public{};
  PublicKey exchange_public{};

  friend bool operator==(const PeerIdentity&, const PeerIdentity&) = default;
};

// A node's own part in all handshakes of one mesh; made once. The mesh's secret is Noise's psk, zeros when open.
class LocalParty {
 public:
  LocalParty(const NodeKeys& keys, const NetId& net_id, const Secret<32>& mesh_secret);

  PeerIdentity identity() const { return {signing_public_, static_keys_.public_key}; }
  const NetId& net_id() const { return net_id_; }
  const Secret<32>& mesh_secret() const { return mesh_secret_; }
  const KeyPair& static_keys() const { return static_keys_; }

  // The keys that guard packets to this node.
  const MacKeys& mac_keys() const { return mac_keys_; }

  // What both sides send encrypted:  version 1 | flags 1 | cert length 2 | signing key 32 | binding 64 | certificate
  const ByteArray<payload_bytes>& payload() const { return payload_; }

 private:
  PublicKey signing_public_;
  KeyPair static_keys_;
  NetId net_id_;
  Secret<32> mesh_secret_;
  MacKeys mac_keys_;
  ByteArray<payload_bytes> payload_{};
};

struct Established {
  PeerIdentity peer;
  std::uint32_t peer_index = 0;
  SessionKeys keys;
};

// Whom to call, and how.
struct Dial {
  PublicKey exchange_public{};
  std::optional<PublicKey> signing_public = std::nullopt;  // when known, anybody else is refused
  Transport transport = Transport::datagram;
  std::uint32_t index = 0;                      // ours, by which the answer finds its way back
  std::optional<Cookie> cookie = std::nullopt;  // of at most 120 s ago
};

// A call that waits for its answer. Retrying means a new one with a new ephemeral key: a repeated INIT is dropped as
// a duplicate.
class InitiatorHandshake {
 public:
  // Empty if the peer's key is not canonical or of low order. Requires: an ephemeral secret never used before.
  static std::optional<InitiatorHandshake> start(const LocalParty& self, const Dial& dial, const Secret<32>& ephemeral);

  // The INIT to send.
  const Bytes& packet() const { return packet_; }
  std::uint32_t index() const { return dial_.index; }

  // The cookie for the next try, if `packet` is the responder's answer to this INIT. It proves nothing about where
  // the responder is.
  std::optional<Cookie> on_cookie(ByteSpan packet) const;

  // Empty if `packet` is not the answer of the peer that was called; the handshake then still waits for it.
  std::optional<Established> on_response(const LocalParty& self, ByteSpan packet) const;

 private:
  InitiatorHandshake(const LocalParty& self, const Dial& dial, HandshakeState noise);

  Dial dial_;
  MacKeys peer_mac_keys_;
  HandshakeState noise_;
  Bytes packet_;
};

// An INIT with the right size and mac1, and no more known about it.
class CheckedInit {
 public:
  static std::optional<CheckedInit> check(const LocalParty& self, ByteSpan packet);

  ByteSpan bytes() const { return packet_; }
  // Names this INIT among those of the last seconds: a second one is a duplicate.
  Hash128 mac1() const { return mac1_of(packet_); }

 private:
  explicit CheckedInit(ByteSpan packet);

  ByteArray<init_bytes> packet_;
};

// A caller whose identity is proven, though the INIT may be a replay: it must cost no more than one small slot.
class ResponderHandshake {
 public:
  // In this order: es, the static key and its form, ss, the payload, the binding. Empty at the first that fails.
  static std::optional<ResponderHandshake> open(const LocalParty& self, Transport transport, const CheckedInit& init);

  const PeerIdentity& peer() const { return peer_; }

  struct Answer {
    Bytes packet;  // the RESP to send
    Established session;
  };
  // Ends the handshake, so call it once. `index` is ours, by which DATA finds the session. Requires: an ephemeral
  // secret never used before.
  Answer respond(const LocalParty& self, std::uint32_t index, const Secret<32>& ephemeral);

 private:
  ResponderHandshake(HandshakeState noise, const PeerIdentity& peer, std::uint32_t peer_index);

  HandshakeState noise_;
  PeerIdentity peer_;
  std::uint32_t peer_index_;
};

}  // namespace kith::crypto
