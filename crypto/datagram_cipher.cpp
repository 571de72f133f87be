// SPDX-License-Identifier: MIT
#include "crypto/datagram_cipher.h"

#include <cstdlib>

namespace kith::crypto {

DatagramCipher::DatagramCipher(const Established& session, std::uint32_t local_index)
    : send_(session.keys.send),
      receive_(session.keys.receive),
      local_index_(local_index),
      peer_index_(session.peer_index) {}

std::optional<Bytes> DatagramCipher::seal(ByteSpan plaintext) {
  if (plaintext.size() > data_plaintext_bytes_max) std::abort();
  if (send_.nonce() >= ReplayWindow::counter_limit) return std::nullopt;
  Bytes packet;
  packet.reserve(plaintext.size() + data_overhead_bytes);
  append_packet_start(PacketType::data, peer_index_, packet);
  ByteArray<8> counter;
  store_le64(counter.data(), send_.nonce());
  packet.insert(packet.end(), counter.begin(), counter.end());
  if (!send_.encrypt_with_ad({}, plaintext, packet)) return std::nullopt;
  return packet;
}

DataVerdict DatagramCipher::open(ByteSpan packet, OpenedData& opened) {
  if (packet_type(packet) != PacketType::data || receiver_index(packet) != local_index_) return DataVerdict::malformed;
  const auto counter = data_counter(packet);
  if (counter >= ReplayWindow::counter_limit) return DataVerdict::malformed;
  if (window_.is_too_old(counter)) return DataVerdict::too_old;

  receive_.set_nonce(counter);
  Bytes plaintext;
  if (!receive_.decrypt_with_ad({}, packet.subspan(data_header_bytes), plaintext)) return DataVerdict::forged;
  if (!window_.accept(counter)) return DataVerdict::replayed;
  opened = {.plaintext = std::move(plaintext), .is_newest = counter == window_.highest()};
  return DataVerdict::accepted;
}

}  // namespace kith::crypto
