// SPDX-License-Identifier: MIT
// One direction of a TCP connection after its handshake: frames in order, each under the next nonce, and a last one
// that tells a finished stream from a cut one (Noise §13).
//
//   frame      length 2, big-endian | enc( kind 1 | bytes )         at most 2 + 16384 + 16
//   kind 0     bytes of the stream
//   kind 1     the end: total length 8 | BLAKE2b-256 of all bytes 32
//
// A sealer and an opener carry a stream of bytes; where one message ends and the next begins is for their user.
#pragma once

#include "crypto/cipher_state.h"
#include "crypto/hash.h"

namespace kith::crypto {

inline constexpr std::size_t frame_length_bytes = 2;
inline constexpr std::size_t frame_plaintext_bytes_max = 16384;
inline constexpr std::size_t frame_payload_bytes_max = frame_plaintext_bytes_max - 1;
inline constexpr std::uint64_t frames_per_key = 65536;

// INIT and RESP travel on a stream as frames too, unencrypted: the packet behind its length.
Bytes handshake_frame(ByteSpan packet);
// Requires: frame_length_bytes bytes.
std::size_t frame_length(ByteSpan start);

class StreamSealer {
 public:
  explicit StreamSealer(const CipherState& send) : cipher_(send) {}

  // Appends the frames that carry `bytes`. Requires: finish() was not called.
  void seal(ByteSpan bytes, Bytes& out);

  // Appends the last frame.
  void finish(Bytes& out);

 private:
  void append_frame(ByteSpan plaintext, Bytes& out);

  CipherState cipher_;
  std::uint64_t frames_ = 0;
  std::uint64_t total_bytes_ = 0;
  Blake2b hash_{32};
  bool is_finished_ = false;
};

// broken is final: the connection is to be closed. A connection that ends while still open was cut.
enum class StreamState : std::uint8_t { open, finished, broken };

class StreamOpener {
 public:
  explicit StreamOpener(const CipherState& receive) : cipher_(receive) {}

  // Takes the bytes as they arrive, whole frames or not, and appends what they carried to `out`. Holds back at most
  // one incomplete frame. Whatever follows the last frame breaks the stream.
  StreamState receive(ByteSpan bytes, Bytes& out);

  StreamState state() const { return state_; }

 private:
  // How many bytes of `bytes` were taken: none while a frame is incomplete.
  std::size_t open_frame(ByteSpan bytes, Bytes& out);
  StreamState open_plaintext(ByteSpan plaintext, Bytes& out);
  bool is_true_end(ByteSpan statement);

  CipherState cipher_;
  std::uint64_t frames_ = 0;
  std::uint64_t total_bytes_ = 0;
  Blake2b hash_{32};
  Bytes incomplete_;
  StreamState state_ = StreamState::open;
};

}  // namespace kith::crypto
