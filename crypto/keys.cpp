// SPDX-License-Identifier: MIT
#include "crypto/keys.h"

#include <algorithm>

#include <sodium.h>

namespace kith::crypto {
namespace {

// With its terminating zero, as the protocol's labels are.
constexpr std::string_view binding_label{"kith x25519 binding v1\0", 23};

Secret<32> derive(const Secret<32>& seed, std::uint64_t id) {
  Secret<32> derived;
  crypto_kdf_derive_from_key(derived.data(), derived.size(), id, "kithkeys", seed.data());
  return derived;
}

Bytes binding_message(const PublicKey& exchange_public, const NetId& net_id) {
  Bytes message;
  message.reserve(binding_label.size() + net_id.size() + exchange_public.size());
  const auto append = [&message](ByteSpan part) { message.insert(message.end(), part.begin(), part.end()); };
  append(as_bytes(binding_label));
  append(net_id);
  append(exchange_public);
  return message;
}

template <std::size_t N>
ByteArray<N> array_from_hex(std::string_view text) {
  const auto bytes = from_hex(text);
  ByteArray<N> result{};
  if (bytes && bytes->size() == N) std::copy(bytes->begin(), bytes->end(), result.begin());
  return result;
}

// The base point plus the point of order two, (0,-1): on the curve, but outside the prime-order group.
bool rejects_mixed_order() {
  const auto point = array_from_hex<32>("9599999999999999999999999999999999999999999999999999999999999999");
  PublicKey converted;
  return crypto_core_ed25519_is_valid_point(point.data()) == 0 &&
         crypto_sign_ed25519_pk_to_curve25519(converted.data(), point.data()) != 0;
}

// Adds the order of the group, L, to the second half of a signature: an equation-preserving change.
Signature plus_group_order(Signature signature) {
  const auto order = array_from_hex<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const unsigned sum = static_cast<unsigned>(signature[32 + i]) + order[i] + carry;
    signature[32 + i] = static_cast<std::uint8_t>(sum & 0xff);
    carry = sum >> 8;
  }
  return signature;
}

// RFC 8032 §7.1, test 1: the signature of the empty message.
bool signs_as_specified() {
  const auto seed = array_from_hex<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  const auto signature = array_from_hex<64>(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
      "d25bf5f0595bbe24655141438e7a100b");
  PublicKey signer;
  Secret<64> secret;
  Signature signed_here;
  crypto_sign_seed_keypair(signer.data(), secret.data(), seed.data());
  crypto_sign_detached(signed_here.data(), nullptr, nullptr, 0, secret.data());
  return signed_here == signature && verify(signer, {}, signature) && !verify(signer, {}, plus_group_order(signature));
}

// RFC 7748 §5.2, the first vector.
bool exchanges_as_specified() {
  const auto scalar = array_from_hex<32>("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
  const auto point = array_from_hex<32>("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
  const auto result = array_from_hex<32>("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  const auto computed = shared_secret(Secret<32>(scalar), point);
  return computed && *computed == Secret<32>(result) && !shared_secret(Secret<32>(scalar), PublicKey{});
}

}  // namespace

bool init() { return sodium_init() >= 0; }

bool self_test() { return rejects_mixed_order() && signs_as_specified() && exchanges_as_specified(); }

NodeKeys NodeKeys::from_seed(const Secret<32>& seed) {
  NodeKeys keys;
  const auto signing_seed = derive(seed, 1);
  crypto_sign_seed_keypair(keys.signing_public_.data(), keys.signing_secret_.data(), signing_seed.data());
  keys.exchange_secret_ = derive(seed, 2);
  keys.exchange_public_ = exchange_public_key(keys.exchange_secret_);
  return keys;
}

Signature NodeKeys::sign(ByteSpan message) const {
  Signature signature;
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), signing_secret_.data());
  return signature;
}

bool verify(const PublicKey& signer, ByteSpan message, const Signature& signature) {
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), signer.data()) == 0;
}

Signature sign_binding(const NodeKeys& keys, const NetId& net_id) {
  return keys.sign(binding_message(keys.exchange_public(), net_id));
}

bool verify_binding(const Binding& claim, const Signature& signature) {
  return verify(claim.signing_public, binding_message(claim.exchange_public, claim.net_id), signature);
}

}  // namespace kith::crypto
