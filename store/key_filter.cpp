// SPDX-License-Identifier: MIT
#include "store/key_filter.h"

#include "crypto/bytes.h"

namespace kith::store {
namespace {

constexpr std::size_t bits_per_key = 12;
constexpr std::size_t bits_per_block = 256;

// A key is a hash, so its bits are as good as any: these are none by which keys are ordered.
std::uint32_t bit_of(const dht::KeyHash& key, std::size_t word) {
  return std::uint32_t{1} << (key.bytes[24 + word] % 32U);
}

}  // namespace

KeyFilter::KeyFilter(std::size_t keys_max)
    : keys_max_(keys_max), blocks_(1 + keys_max * bits_per_key / bits_per_block) {}

void KeyFilter::add(const dht::KeyHash& key) {
  Block& block = blocks_[block_of(key)];
  bool is_new = false;
  for (std::size_t word = 0; word < words; ++word) {
    const std::uint32_t bit = bit_of(key, word);
    is_new = is_new || (block[word] & bit) == 0;
    block[word] |= bit;
  }
  keys_ += is_new ? 1 : 0;
}

bool KeyFilter::may_hold(const dht::KeyHash& key) const {
  const Block& block = blocks_[block_of(key)];
  for (std::size_t word = 0; word < words; ++word) {
    if ((block[word] & bit_of(key, word)) == 0) return false;
  }
  return true;
}

std::size_t KeyFilter::block_of(const dht::KeyHash& key) const {
  return crypto::load_be64(key.bytes.data() + 16) % blocks_.size();
}

}  // namespace kith::store
