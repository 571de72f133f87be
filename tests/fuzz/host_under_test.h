// SPDX-License-Identifier: MIT
// A whole node with fixed keys, and a member of its mesh that has any plaintext sealed for it: so that mutation gets
// past the cipher, to the code that an authenticated but hostile peer reaches.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "crypto/datagram_cipher.h"
#include "crypto/stream_cipher.h"
#include "dht/host.h"
#include "dht/model/memory_store.h"

namespace kith::tests {

// Takes an input apart: one byte, a count of bytes, the rest.
class FuzzInput {
 public:
  explicit FuzzInput(crypto::ByteSpan bytes) : rest_(bytes) {}

  bool is_empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = rest_.front();
    rest_ = rest_.subspan(1);
    return first;
  }
  // As many as the next two bytes say, or as there are.
  crypto::ByteSpan chunk() {
    const std::size_t high = byte();
    const std::size_t low = byte();
    const auto taken = rest_.first(std::min(rest_.size(), high << 8U | low));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  crypto::ByteSpan rest_;
};

class HostUnderTest {
 public:
  HostUnderTest()
      : keys_(crypto::NodeKeys::from_seed(secret(1))),
        peer_keys_(crypto::NodeKeys::from_seed(secret(2))),
        peer_(peer_keys_, mesh().id, mesh().secret),
        host_({}, keys_, mesh(), store_, {3}) {
    const dht::Endpoint own = place(1);
    turn([&](auto& out) { host_.start(now_, {&own, 1}, out); });
  }

  static dht::Endpoint place(std::uint8_t number) {
    return {.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, number}, .port = 5484};
  }

  void receive(const dht::Endpoint& from, crypto::ByteSpan bytes) {
    turn([&](auto& out) { host_.receive_datagram(now_, from, bytes, out); });
  }

  // What the peer would send with this plaintext. Shakes hands first, if need be.
  void receive_sealed(crypto::ByteSpan plaintext) {
    if (!datagrams_) call_by_datagram();
    if (!datagrams_ || plaintext.size() > crypto::data_plaintext_bytes_max) return;
    if (const auto packet = datagrams_->seal(plaintext)) receive(place(2), *packet);
  }

  void accept(dht::StreamId stream) {
    turn([&](auto& out) { host_.stream_accepted(now_, stream, place(9), out); });
  }
  void receive_on(dht::StreamId stream, crypto::ByteSpan bytes) {
    turn([&](auto& out) { host_.stream_received(now_, stream, bytes, out); });
  }
  void receive_sealed_on_stream(crypto::ByteSpan content) {
    if (!stream_) call_by_stream();
    if (!stream_) return;
    crypto::Bytes frames;
    stream_->seal(content, frames);
    receive_on(peer_stream, frames);
  }
  void close(dht::StreamId stream) {
    turn([&](auto& out) { host_.stream_closed(now_, stream, out); });
  }

  void pass(dht::Duration duration) {
    now_.instant += duration;
    now_.wall_ms += static_cast<dht::WallMs>(duration.count() / 1000);
    turn([&](auto& out) { host_.on_deadline(now_, out); });
  }

 private:
  static constexpr dht::StreamId peer_stream = 1001;

  static crypto::Secret<32> secret(std::uint8_t byte) {
    crypto::ByteArray<32> bytes;
    bytes.fill(byte);
    return crypto::Secret<32>(bytes);
  }
  static dht::MeshKeys mesh() { return {.id = {7}, .secret = secret(7), .data_key = {7}}; }

  template <typename Input>
  void turn(Input input) {
    last_ = {};
    input(last_);
    host_.end_turn(++batch_);
    store_.commit();
    host_.committed(now_, batch_, last_);
    host_.end_turn(batch_);
  }

  std::optional<crypto::InitiatorHandshake> call(crypto::Transport transport) {
    ++calls_;
    return crypto::InitiatorHandshake::start(peer_,
                                             {.exchange_public = keys_.exchange_public(),
                                              .signing_public = std::nullopt,
                                              .transport = transport,
                                              .index = calls_,
                                              .cookie = std::nullopt},
                                             secret(static_cast<std::uint8_t>(100 + calls_)));
  }
  void call_by_datagram() {
    const auto handshake = call(crypto::Transport::datagram);
    receive(place(2), handshake->packet());
    if (last_.datagrams.empty()) return;
    const auto session = handshake->on_response(peer_, last_.datagrams.front().bytes);
    if (session) datagrams_.emplace(*session, handshake->index());
  }
  void call_by_stream() {
    const auto handshake = call(crypto::Transport::stream);
    accept(peer_stream);
    receive_on(peer_stream, crypto::handshake_frame(handshake->packet()));
    if (last_.writes.empty()) return;
    const auto answer = crypto::ByteSpan(last_.writes.front().bytes).subspan(crypto::frame_length_bytes);
    const auto session = handshake->on_response(peer_, answer);
    if (session) stream_.emplace(session->keys.send);
  }

  crypto::NodeKeys keys_;
  crypto::NodeKeys peer_keys_;
  crypto::LocalParty peer_;
  dht::MemoryStore store_;
  dht::Host host_;
  dht::Now now_{dht::Instant{}, 1'700'000'000'000};
  dht::HostOutputs last_;
  std::uint64_t batch_ = 0;
  std::uint32_t calls_ = 0;
  std::optional<crypto::DatagramCipher> datagrams_;
  std::optional<crypto::StreamSealer> stream_;
};

}  // namespace kith::tests
