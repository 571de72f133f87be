// SPDX-License-Identifier: MIT
#include "crypto/stream_cipher.h"

#include <algorithm>
#include <cstdlib>

namespace kith::crypto {
namespace {

enum class FrameKind : std::uint8_t { bytes = 0, end = 1 };

constexpr std::size_t end_statement_bytes = 8 + 32;
constexpr std::size_t frame_bytes_max = frame_plaintext_bytes_max + CipherState::tag_bytes;
constexpr std::size_t frame_bytes_min = 1 + CipherState::tag_bytes;

void append_length(std::size_t length, Bytes& out) {
  ByteArray<frame_length_bytes> bytes;
  store_be16(bytes.data(), static_cast<std::uint16_t>(length));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

ByteArray<end_statement_bytes> end_statement(std::uint64_t total_bytes, Blake2b& hash) {
  ByteArray<end_statement_bytes> statement;
  store_le64(statement.data(), total_bytes);
  hash.finish(MutableByteSpan(statement).subspan(8));
  return statement;
}

Bytes plaintext_of(FrameKind kind, ByteSpan content) {
  Bytes plaintext;
  plaintext.reserve(1 + content.size());
  plaintext.push_back(static_cast<std::uint8_t>(kind));
  plaintext.insert(plaintext.end(), content.begin(), content.end());
  return plaintext;
}

// Both sides count frames alike, so that they change keys between the same two.
void count_frame(std::uint64_t& frames, CipherState& cipher) {
  if (++frames % frames_per_key == 0) cipher.rekey();
}

}  // namespace

Bytes handshake_frame(ByteSpan packet) {
  Bytes frame;
  append_length(packet.size(), frame);
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

std::size_t frame_length(ByteSpan start) { return load_be16(start.data()); }

void StreamSealer::seal(ByteSpan bytes, Bytes& out) {
  if (is_finished_) std::abort();
  hash_.update(bytes);
  total_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const auto content = bytes.first(std::min(bytes.size(), frame_payload_bytes_max));
    append_frame(plaintext_of(FrameKind::bytes, content), out);
    bytes = bytes.subspan(content.size());
  }
}

void StreamSealer::finish(Bytes& out) {
  if (is_finished_) std::abort();
  is_finished_ = true;
  append_frame(plaintext_of(FrameKind::end, end_statement(total_bytes_, hash_)), out);
}

void StreamSealer::append_frame(ByteSpan plaintext, Bytes& out) {
  append_length(plaintext.size() + CipherState::tag_bytes, out);
  // 2^64 frames of nonces: running out is not an event to handle.
  if (!cipher_.encrypt_with_ad({}, plaintext, out)) std::abort();
  count_frame(frames_, cipher_);
}

StreamState StreamOpener::receive(ByteSpan bytes, Bytes& out) {
  const bool continues = !incomplete_.empty();
  if (continues) {
    incomplete_.insert(incomplete_.end(), bytes.begin(), bytes.end());
    bytes = incomplete_;
  }
  std::size_t taken = 0;
  while (state_ == StreamState::open) {
    const auto frame = open_frame(bytes.subspan(taken), out);
    if (frame == 0) break;
    taken += frame;
  }
  if (state_ == StreamState::finished && taken < bytes.size()) state_ = StreamState::broken;
  if (continues) {
    incomplete_.erase(incomplete_.begin(), incomplete_.begin() + static_cast<std::ptrdiff_t>(taken));
  } else {
    incomplete_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
  }
  return state_;
}

std::size_t StreamOpener::open_frame(ByteSpan bytes, Bytes& out) {
  if (bytes.size() < frame_length_bytes) return 0;
  const auto length = frame_length(bytes);
  if (length < frame_bytes_min || length > frame_bytes_max) {
    state_ = StreamState::broken;
    return 0;
  }
  if (bytes.size() < frame_length_bytes + length) return 0;
  Bytes plaintext;
  if (!cipher_.decrypt_with_ad({}, bytes.subspan(frame_length_bytes, length), plaintext)) {
    state_ = StreamState::broken;
    return 0;
  }
  count_frame(frames_, cipher_);
  state_ = open_plaintext(plaintext, out);
  return frame_length_bytes + length;
}

StreamState StreamOpener::open_plaintext(ByteSpan plaintext, Bytes& out) {
  const auto content = plaintext.subspan(1);
  switch (static_cast<FrameKind>(plaintext[0])) {
    case FrameKind::bytes:
      hash_.update(content);
      total_bytes_ += content.size();
      out.insert(out.end(), content.begin(), content.end());
      return StreamState::open;
    case FrameKind::end:
      return is_true_end(content) ? StreamState::finished : StreamState::broken;
  }
  return StreamState::broken;
}

bool StreamOpener::is_true_end(ByteSpan statement) {
  const auto expected = end_statement(total_bytes_, hash_);
  return std::equal(statement.begin(), statement.end(), expected.begin(), expected.end());
}

}  // namespace kith::crypto
