// SPDX-License-Identifier: MIT
#include "crypto/handshake.h"

#include <algorithm>
#include <cstdlib>

namespace kith::crypto {
namespace {

constexpr std::uint8_t payload_version = 1;
constexpr std::size_t signing_key_offset = 4;
constexpr std::size_t binding_offset = signing_key_offset + std::tuple_size_v<PublicKey>;
constexpr std::size_t certificate_offset = binding_offset + std::tuple_size_v<Signature>;
static_assert(certificate_offset + certificate_area_bytes == payload_bytes);

constexpr std::size_t init_noise_offset = 8;
constexpr std::size_t response_noise_offset = 12;
constexpr std::size_t macs_bytes = 2 * std::tuple_size_v<Hash128>;

HandshakeKeys own_keys(const LocalParty& self) {
  HandshakeKeys keys;
  keys.own_static = self.static_keys();
  keys.psks = {self.mesh_secret()};
  return keys;
}

// What stands between the packet's indices and its macs.
ByteSpan noise_part(ByteSpan packet, std::size_t offset) {
  return packet.subspan(offset, packet.size() - offset - macs_bytes);
}

// Whose payload it is, if it is well formed and binds the signing key to the key that Noise has proven. Flags that
// are not known yet are for later versions to use, and ignored.
std::optional<PeerIdentity> identity_in(ByteSpan payload, const PublicKey& exchange_public, const NetId& net_id) {
  if (payload.size() != payload_bytes || payload[0] != payload_version) return std::nullopt;
  if (load_le16(payload.data() + 2) != certificate_area_bytes) return std::nullopt;
  PeerIdentity peer{.signing_public = {}, .exchange_public = exchange_public};
  std::copy_n(payload.data() + signing_key_offset, peer.signing_public.size(), peer.signing_public.begin());
  Signature binding;
  std::copy_n(payload.data() + binding_offset, binding.size(), binding.begin());
  if (!verify_binding({peer.signing_public, peer.exchange_public, net_id}, binding)) return std::nullopt;
  return peer;
}

}  // namespace

Prologue prologue(const NetId& net_id, Transport transport) {
  constexpr std::string_view label = "kith/1";
  Prologue bytes{};
  std::copy(label.begin(), label.end(), bytes.begin());
  std::copy(net_id.begin(), net_id.end(), bytes.begin() + 8);
  bytes[24] = static_cast<std::uint8_t>(transport);
  bytes[25] = wire_version;
  return bytes;
}

LocalParty::LocalParty(const NodeKeys& keys, const NetId& net_id, const Secret<32>& mesh_secret)
    : signing_public_(keys.signing_public()),
      static_keys_{keys.exchange_secret(), keys.exchange_public()},
      net_id_(net_id),
      mesh_secret_(mesh_secret),
      mac_keys_(keys.exchange_public(), mesh_secret) {
  const auto binding = sign_binding(keys, net_id);
  payload_[0] = payload_version;
  store_le16(payload_.data() + 2, certificate_area_bytes);
  std::copy(signing_public_.begin(), signing_public_.end(), payload_.begin() + signing_key_offset);
  std::copy(binding.begin(), binding.end(), payload_.begin() + binding_offset);
}

std::optional<InitiatorHandshake> InitiatorHandshake::start(const LocalParty& self, const Dial& dial,
                                                            const Secret<32>& ephemeral) {
  if (!is_canonical_exchange_key(dial.exchange_public)) return std::nullopt;
  auto keys = own_keys(self);
  keys.own_ephemeral = KeyPair::from_secret(ephemeral);
  keys.remote_static = dial.exchange_public;
  HandshakeState noise(ik_psk2, Role::initiator, prologue(self.net_id(), dial.transport), std::move(keys));

  InitiatorHandshake handshake(self, dial, std::move(noise));
  handshake.packet_.reserve(init_bytes);
  append_packet_start(PacketType::init, dial.index, handshake.packet_);
  if (!handshake.noise_.write_message(self.payload(), handshake.packet_)) return std::nullopt;
  handshake.peer_mac_keys_.append_macs(dial.cookie, handshake.packet_);
  return handshake;
}

InitiatorHandshake::InitiatorHandshake(const LocalParty& self, const Dial& dial, HandshakeState noise)
    : dial_(dial), peer_mac_keys_(dial.exchange_public, self.mesh_secret()), noise_(std::move(noise)) {}

std::optional<Cookie> InitiatorHandshake::on_cookie(ByteSpan packet) const {
  if (packet_type(packet) != PacketType::cookie || receiver_index(packet) != dial_.index) return std::nullopt;
  return peer_mac_keys_.open_cookie(packet, mac1_of(packet_));
}

std::optional<Established> InitiatorHandshake::on_response(const LocalParty& self, ByteSpan packet) const {
  if (packet_type(packet) != PacketType::response || receiver_index(packet) != dial_.index) return std::nullopt;
  // An INIT is never sent under load without a cookie, so its answer needs none and has none.
  if (!self.mac_keys().has_valid_mac1(packet) || mac2_of(packet) != Hash128{}) return std::nullopt;

  // A forged answer must not spoil the wait for the true one.
  auto noise = noise_;
  const auto payload = noise.read_message(noise_part(packet, response_noise_offset));
  if (!payload) return std::nullopt;
  const auto peer = identity_in(*payload, dial_.exchange_public, self.net_id());
  if (!peer || (dial_.signing_public && *dial_.signing_public != peer->signing_public)) return std::nullopt;
  return Established{.peer = *peer, .peer_index = sender_index(packet), .keys = noise.session_keys()};
}

CheckedInit::CheckedInit(ByteSpan packet) { std::copy_n(packet.begin(), packet_.size(), packet_.begin()); }

std::optional<CheckedInit> CheckedInit::check(const LocalParty& self, ByteSpan packet) {
  if (packet_type(packet) != PacketType::init || !self.mac_keys().has_valid_mac1(packet)) return std::nullopt;
  return CheckedInit(packet);
}

std::optional<ResponderHandshake> ResponderHandshake::open(const LocalParty& self, Transport transport,
                                                           const CheckedInit& init) {
  HandshakeState noise(ik_psk2, Role::responder, prologue(self.net_id(), transport), own_keys(self));
  const auto payload = noise.read_message(noise_part(init.bytes(), init_noise_offset));
  if (!payload) return std::nullopt;
  const auto peer = identity_in(*payload, *noise.remote_static(), self.net_id());
  if (!peer) return std::nullopt;
  return ResponderHandshake(std::move(noise), *peer, sender_index(init.bytes()));
}

ResponderHandshake::ResponderHandshake(HandshakeState noise, const PeerIdentity& peer, std::uint32_t peer_index)
    : noise_(std::move(noise)), peer_(peer), peer_index_(peer_index) {}

ResponderHandshake::Answer ResponderHandshake::respond(const LocalParty& self, std::uint32_t index,
                                                       const Secret<32>& ephemeral) {
  Answer answer;
  answer.packet.reserve(response_bytes);
  append_packet_start(PacketType::response, index, answer.packet);
  ByteArray<4> receiver;
  store_le32(receiver.data(), peer_index_);
  answer.packet.insert(answer.packet.end(), receiver.begin(), receiver.end());

  noise_.set_ephemeral(ephemeral);
  // Both keys of the caller have already gone through an exchange in open(): writing can only fail by misuse.
  if (!noise_.write_message(self.payload(), answer.packet)) std::abort();
  MacKeys(peer_.exchange_public, self.mesh_secret()).append_macs(std::nullopt, answer.packet);
  answer.session = {.peer = peer_, .peer_index = peer_index_, .keys = noise_.session_keys()};
  return answer;
}

}  // namespace kith::crypto
