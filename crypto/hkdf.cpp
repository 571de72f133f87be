// SPDX-License-Identifier: MIT
#include "crypto/hkdf.h"

#include <algorithm>
#include <cstdlib>

namespace kith::crypto {
namespace {

constexpr std::size_t block_bytes = 128;
constexpr std::uint8_t inner_pad = 0x36;
constexpr std::uint8_t outer_pad = 0x5c;

Secret<block_bytes> padded(ByteSpan key, std::uint8_t pad) {
  Secret<block_bytes> block;
  std::copy(key.begin(), key.end(), block.data());
  for (auto& byte : block.mutable_span()) byte ^= pad;
  return block;
}

HkdfOutputs first_two(const Secret<64>& temporary) {
  static constexpr ByteArray<1> one{1};
  static constexpr ByteArray<1> two{2};
  HkdfOutputs outputs;
  outputs.first = hmac_blake2b(temporary.span(), {one});
  outputs.second = hmac_blake2b(temporary.span(), {outputs.first.span(), two});
  return outputs;
}

}  // namespace

Secret<64> hmac_blake2b(ByteSpan key, std::initializer_list<ByteSpan> parts) {
  if (key.size() > block_bytes) std::abort();
  Blake2b inner(64);
  inner.update(padded(key, inner_pad).span());
  for (const auto part : parts) inner.update(part);
  Secret<64> result;
  inner.finish(result.mutable_span());

  Blake2b outer(64);
  outer.update(padded(key, outer_pad).span()).update(result.span());
  outer.finish(result.mutable_span());
  return result;
}

HkdfOutputs hkdf_two(const Secret<64>& chaining_key, ByteSpan input) {
  return first_two(hmac_blake2b(chaining_key.span(), {input}));
}

HkdfOutputs hkdf_three(const Secret<64>& chaining_key, ByteSpan input) {
  static constexpr ByteArray<1> three{3};
  const auto temporary = hmac_blake2b(chaining_key.span(), {input});
  auto outputs = first_two(temporary);
  outputs.third = hmac_blake2b(temporary.span(), {outputs.second.span(), three});
  return outputs;
}

}  // namespace kith::crypto
