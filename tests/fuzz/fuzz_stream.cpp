// SPDX-License-Identifier: MIT
// The bytes of a TCP connection after its handshake: raw, cut into reads; and again as the plaintext of authentic
// frames, which a mutation would never forge. Each chunk of the input is a length and that many bytes.
#include <algorithm>
#include <cstdlib>

#include "crypto/stream_cipher.h"

namespace {

using namespace kith::crypto;

void require(bool claim) {
  if (!claim) std::abort();
}

CipherState key() { return CipherState(Secret<32>()); }

ByteSpan take_chunk(ByteSpan& input) {
  const auto size = std::min<std::size_t>(input[0], input.size() - 1);
  const auto chunk = input.subspan(1, size);
  input = input.subspan(1 + size);
  return chunk;
}

Bytes sealed_frame(CipherState& cipher, ByteSpan plaintext) {
  Bytes sealed;
  require(cipher.encrypt_with_ad({}, plaintext, sealed));
  return handshake_frame(sealed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  StreamOpener raw(key());
  StreamOpener authentic(key());
  auto cipher = key();
  Bytes from_raw;
  Bytes from_authentic;
  for (ByteSpan input(data, size); !input.empty();) {
    const auto chunk = take_chunk(input);
    raw.receive(chunk, from_raw);
    authentic.receive(sealed_frame(cipher, chunk), from_authentic);
  }
  // Nothing that was not sealed with the key may come out, and never more than went in.
  require(from_raw.empty());
  require(from_authentic.size() <= size);
  return 0;
}
