// SPDX-License-Identifier: MIT
#include "store/seal.h"

#include <algorithm>

namespace kith::store {
namespace {

// Each kind of row begins with a byte of its own and fields of fixed width, so no two statements have the same bytes.
enum class Kind : std::uint8_t {
  row = 'r',
  outbox = 'o',
  operation = 'p',
  contact = 'c',
  note = 'n',
  policy = 'y',
  acceptance = 'a',
  shard = 'd',
  sole = 's',
  table = 't'
};

constexpr std::array<std::uint8_t, 18> key_label{'k', 'i', 't', 'h', ' ', 'r', 'o', 'w', ' ',
                                                 's', 'e', 'a', 'l', ' ', 'k', 'e', 'y', '1'};

template <std::size_t N>
std::uint8_t* put(std::uint8_t* at, const std::array<std::uint8_t, N>& bytes) {
  return std::copy(bytes.begin(), bytes.end(), at);
}

std::uint8_t* put_u64(std::uint8_t* at, std::uint64_t value) {
  crypto::store_be64(at, value);
  return at + sizeof value;
}

}  // namespace

Sealer::Sealer(const crypto::Secret<32>& node_secret) {
  crypto::Hash256 key = crypto::keyed_hash_256(node_secret.span(), {key_label});
  key_ = crypto::Secret<32>(key);
  crypto::wipe(key);
}

Seal Sealer::row(const RowName& name, std::uint8_t roles, crypto::ByteSpan record) const {
  std::array<std::uint8_t, 1 + 32 + 8 + 4 + 1> place{static_cast<std::uint8_t>(Kind::row)};
  std::uint8_t* at = put_u64(put(place.data() + 1, name.key.bytes), name.tag);
  crypto::store_be32(at, name.variant);
  place.back() = roles;
  return crypto::keyed_hash_128(key_.span(), {place, record});
}

Seal Sealer::outbox(const dht::NodeId& target, const dht::KeyHash& key) const {
  std::array<std::uint8_t, 1 + 32 + 32> place{static_cast<std::uint8_t>(Kind::outbox)};
  put(put(place.data() + 1, target.bytes), key.bytes);
  return crypto::keyed_hash_128(key_.span(), {place});
}

Seal Sealer::operation(const dht::OpId& id, const dht::Operation& operation) const {
  std::array<std::uint8_t, 1 + 16 + 32 + 8 + 8 + 8> place{static_cast<std::uint8_t>(Kind::operation)};
  std::uint8_t* at = put(put(place.data() + 1, id), operation.key.bytes);
  put_u64(put_u64(put_u64(at, operation.seq), operation.expires_ms), operation.tag);
  return crypto::keyed_hash_128(key_.span(), {place});
}

Seal Sealer::contact(const dht::NodeId& id, crypto::ByteSpan contact) const {
  std::array<std::uint8_t, 1 + 32> place{static_cast<std::uint8_t>(Kind::contact)};
  put(place.data() + 1, id.bytes);
  return crypto::keyed_hash_128(key_.span(), {place, contact});
}

Seal Sealer::note(const dht::Note& note) const {
  std::array<std::uint8_t, 1 + 1 + 8 + 8> place{static_cast<std::uint8_t>(Kind::note),
                                                static_cast<std::uint8_t>(note.kind)};
  put_u64(put_u64(place.data() + 2, note.first), note.second);
  return crypto::keyed_hash_128(key_.span(), {place, note.name});
}

Seal Sealer::policy(const dht::KeyHash& key, crypto::ByteSpan record) const {
  std::array<std::uint8_t, 1 + 32> place{static_cast<std::uint8_t>(Kind::policy)};
  put(place.data() + 1, key.bytes);
  return crypto::keyed_hash_128(key_.span(), {place, record});
}

Seal Sealer::acceptance(const dht::KeyHash& key, const dht::Acceptance& acceptance) const {
  std::array<std::uint8_t, 1 + 32 + 4 * 8> place{static_cast<std::uint8_t>(Kind::acceptance)};
  std::uint8_t* at = put(place.data() + 1, key.bytes);
  at = put_u64(put_u64(at, acceptance.promised.counter), acceptance.promised.proposer);
  put_u64(put_u64(at, acceptance.accepted.counter), acceptance.accepted.proposer);
  return crypto::keyed_hash_128(key_.span(), {place, acceptance.value});
}

Seal Sealer::shard(dht::Shard shard, crypto::ByteSpan bytes) const {
  const std::array<std::uint8_t, 2> place{static_cast<std::uint8_t>(Kind::shard), shard};
  return crypto::keyed_hash_128(key_.span(), {place, bytes});
}

Seal Sealer::sole(Sole what, crypto::ByteSpan content) const {
  const std::array<std::uint8_t, 2> place{static_cast<std::uint8_t>(Kind::sole), static_cast<std::uint8_t>(what)};
  return crypto::keyed_hash_128(key_.span(), {place, content});
}

crypto::ByteArray<16> Sealer::table_key() const {
  const std::array<std::uint8_t, 1> label{static_cast<std::uint8_t>(Kind::table)};
  return crypto::keyed_hash_128(key_.span(), {label});
}

bool is_equal(const Seal& seal, crypto::ByteSpan stored) { return crypto::equal_constant_time(seal, stored); }

}  // namespace kith::store
