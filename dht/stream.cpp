// SPDX-License-Identifier: MIT
#include "dht/stream.h"

#include <algorithm>

#include "crypto/assert.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using crypto::Bytes;
using crypto::ByteSpan;

constexpr std::size_t length_bytes = 4;

void append(Bytes& to, ByteSpan bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

void append_message(Bytes& to, ByteSpan message) {
  crypto::ByteArray<length_bytes> length;
  crypto::store_be32(length.data(), static_cast<std::uint32_t>(message.size()));
  append(to, length);
  append(to, message);
}

crypto::Secret<32> fresh_secret(crypto::Rng& rng) {
  crypto::Secret<32> secret;
  rng.fill(secret.mutable_span());
  return secret;
}

}  // namespace

bool MessageAssembler::receive(ByteSpan bytes, std::vector<Bytes>& messages) {
  append(incomplete_, bytes);
  std::size_t taken = 0;
  while (incomplete_.size() - taken >= length_bytes) {
    const std::size_t length = crypto::load_be32(&incomplete_[taken]);
    if (length > limits::message_bytes_max) return false;
    if (incomplete_.size() - taken - length_bytes < length) break;
    const auto message = ByteSpan(incomplete_).subspan(taken + length_bytes, length);
    if (length > 0) messages.emplace_back(message.begin(), message.end());
    taken += length_bytes + length;
  }
  incomplete_.erase(incomplete_.begin(), incomplete_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (incomplete_.empty()) Bytes().swap(incomplete_);  // a large message must not hold its room for ever
  return true;
}

Stream Stream::to(const crypto::PeerIdentity& peer, const Endpoint& endpoint) {
  Stream stream(crypto::Role::initiator, Phase::connecting, endpoint);
  stream.peer_ = peer;
  return stream;
}

Stream Stream::from(const Endpoint& endpoint) { return {crypto::Role::responder, Phase::answering, endpoint}; }

bool Stream::connected(StreamContext& context, Bytes& out) {
  KITH_ASSERT(phase_ == Phase::connecting);
  call_ = crypto::InitiatorHandshake::start(context.self,
                                            {.exchange_public = peer_.exchange_public,
                                             .signing_public = peer_.signing_public,
                                             .transport = crypto::Transport::stream,
                                             .index = context.rng.u32(),
                                             .cookie = std::nullopt},
                                            fresh_secret(context.rng));
  if (!call_) return false;
  append(out, crypto::handshake_frame(call_->packet()));
  phase_ = Phase::calling;
  return true;
}

bool Stream::receive(Instant now, ByteSpan bytes, StreamContext& context, Received& received) {
  if (!opener_) {
    if (!take_handshake(bytes)) {
      ++context.counters.malformed;
      return false;
    }
    if (handshake_.size() < handshake_frame_bytes()) return true;
    const bool is_accepted = phase_ == Phase::calling ? on_response(context) : on_init(now, context, received.reply);
    if (!is_accepted) return false;
  }
  return bytes.empty() || receive_frames(bytes, context, received);
}

// A stranger's bytes are kept up to one frame of the one length that is right here, which is told by the first two.
bool Stream::take_handshake(ByteSpan& bytes) {
  if (phase_ == Phase::connecting) return false;
  const auto missing = handshake_frame_bytes() - handshake_.size();
  const auto taken = bytes.first(std::min(bytes.size(), missing));
  append(handshake_, taken);
  bytes = bytes.subspan(taken.size());
  if (handshake_.size() < crypto::frame_length_bytes) return true;
  return crypto::frame_length_bytes + crypto::frame_length(handshake_) == handshake_frame_bytes();
}

std::size_t Stream::handshake_frame_bytes() const {
  return crypto::frame_length_bytes + (role_ == crypto::Role::initiator ? crypto::response_bytes : crypto::init_bytes);
}

bool Stream::on_init(Instant now, StreamContext& context, Bytes& reply) {
  const auto init = crypto::CheckedInit::check(context.self, ByteSpan(handshake_).subspan(crypto::frame_length_bytes));
  if (!init) {
    ++context.counters.not_authentic;
    return false;
  }
  const auto admission = context.gate.admit_from_stream(now, *init, endpoint_);
  if (admission != Admission::admitted) {
    ++(admission == Admission::duplicate ? context.counters.replayed : context.counters.rate_limited);
    return false;
  }
  auto caller = crypto::ResponderHandshake::open(context.self, crypto::Transport::stream, *init);
  if (!caller || caller->peer() == context.self.identity()) {
    ++context.counters.not_authentic;
    return false;
  }
  const auto answer = caller->respond(context.self, context.rng.u32(), fresh_secret(context.rng));
  append(reply, crypto::handshake_frame(answer.packet));
  peer_ = caller->peer();
  begin_session(answer.session);
  phase_ = Phase::unproven;
  return true;
}

bool Stream::on_response(StreamContext& context) {
  const auto established = call_->on_response(context.self, ByteSpan(handshake_).subspan(crypto::frame_length_bytes));
  if (!established) {
    ++context.counters.not_authentic;
    return false;
  }
  begin_session(*established);
  phase_ = Phase::open;
  ++context.counters.handshakes_done;
  return true;
}

void Stream::begin_session(const crypto::Established& session) {
  sealer_.emplace(session.keys.send);
  opener_.emplace(session.keys.receive);
  call_.reset();
  Bytes().swap(handshake_);
}

bool Stream::receive_frames(ByteSpan bytes, StreamContext& context, Received& received) {
  Bytes plaintext;
  const auto state = opener_->receive(bytes, plaintext);
  // The INIT may have been recorded and repeated; a frame cannot.
  if (phase_ == Phase::unproven && (!plaintext.empty() || state == crypto::StreamState::finished)) {
    phase_ = Phase::open;
    ++context.counters.handshakes_done;
  }
  if (!assembler_.receive(plaintext, received.messages)) {
    ++context.counters.malformed;
    return false;
  }
  if (state == crypto::StreamState::broken) ++context.counters.not_authentic;
  if (state == crypto::StreamState::finished && phase_ == Phase::open) finish(received.reply);
  return state == crypto::StreamState::open;
}

void Stream::send(std::span<const Bytes> messages, Bytes& out) {
  KITH_ASSERT(phase_ == Phase::open);
  Bytes plaintext;
  for (const auto& message : messages) append_message(plaintext, message);
  if (messages.empty()) append_message(plaintext, {});
  sealer_->seal(plaintext, out);
}

void Stream::finish(Bytes& out) {
  KITH_ASSERT(phase_ == Phase::open || phase_ == Phase::unproven);
  sealer_->finish(out);
  phase_ = Phase::finishing;
}

}  // namespace kith::dht
