// SPDX-License-Identifier: MIT
// One TCP connection between two nodes, as a function of the bytes that come in (docs/wire.md, "Roads").
//
//   initiator   connecting ──connected──► calling ──RESP──► open ──┐
//   responder   answering ──INIT──► unproven ──first frame──► open ┴─finish──► finishing ──end of the peer──► gone
//
// Messages follow each other in the stream of bytes, each behind its length as u32, big-endian; a length of zero is
// no message. Frames and messages are independent: many small ones share a frame, a large one spans several.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "crypto/rng.h"
#include "crypto/stream_cipher.h"
#include "dht/host_outputs.h"
#include "dht/session_gate.h"

namespace kith::dht {

// Cuts a stream of bytes into messages. Holds at most one incomplete message, and no more of it than has arrived.
class MessageAssembler {
 public:
  // Appends the messages that are complete now. False when a length is above limits::message_bytes_max: there is no
  // way to go on.
  bool receive(crypto::ByteSpan bytes, std::vector<crypto::Bytes>& messages);

 private:
  crypto::Bytes incomplete_;
};

// What a stream needs of the node whose it is.
struct StreamContext {
  const crypto::LocalParty& self;
  SessionGate& gate;
  crypto::Rng& rng;
  HostCounters& counters;
};

class Stream {
 public:
  enum class Phase : std::uint8_t { connecting, calling, answering, unproven, open, finishing };

  // A connection that is being made to `endpoint`, where `peer` is expected.
  static Stream to(const crypto::PeerIdentity& peer, const Endpoint& endpoint);
  // One that somebody at `endpoint` made to us.
  static Stream from(const Endpoint& endpoint);

  // Appends the INIT. False when the peer's key can never serve. Requires: connecting.
  bool connected(StreamContext& context, crypto::Bytes& out);

  // Takes bytes as they come. False when the connection is to be closed: at its end, or for what it said.
  struct Received {
    crypto::Bytes reply;  // to write back
    std::vector<crypto::Bytes> messages;
  };
  bool receive(Instant now, crypto::ByteSpan bytes, StreamContext& context, Received& received);

  // Appends frames that carry these messages; none at all still proves to the responder who is calling.
  // Requires: open.
  void send(std::span<const crypto::Bytes> messages, crypto::Bytes& out);

  // Appends the end. What the peer still sends is received until its own end comes. Requires: open or unproven.
  void finish(crypto::Bytes& out);

  Phase phase() const { return phase_; }
  bool is_open() const { return phase_ == Phase::open; }
  crypto::Role role() const { return role_; }
  const Endpoint& endpoint() const { return endpoint_; }
  // Who it is; believed, for a responder, once the stream is open.
  const crypto::PeerIdentity& peer() const { return peer_; }

 private:
  Stream(crypto::Role role, Phase phase, const Endpoint& endpoint) : role_(role), phase_(phase), endpoint_(endpoint) {}

  // Takes bytes of the handshake's frame off the front of `bytes`; false when it cannot become that frame.
  bool take_handshake(crypto::ByteSpan& bytes);
  bool on_init(Instant now, StreamContext& context, crypto::Bytes& reply);
  bool on_response(StreamContext& context);
  bool receive_frames(crypto::ByteSpan bytes, StreamContext& context, Received& received);
  void begin_session(const crypto::Established& session);
  std::size_t handshake_frame_bytes() const;

  crypto::Role role_;
  Phase phase_;
  Endpoint endpoint_;
  crypto::PeerIdentity peer_;
  crypto::Bytes handshake_;  // the frame of INIT or RESP, as far as it has come
  std::optional<crypto::InitiatorHandshake> call_;
  std::optional<crypto::StreamSealer> sealer_;
  std::optional<crypto::StreamOpener> opener_;
  MessageAssembler assembler_;
};

}  // namespace kith::dht
