// SPDX-License-Identifier: MIT
#include "dht/model/contact.h"

#include <algorithm>

#include "crypto/assert.h"
#include "dht/model/limits.h"
#include "dht/model/text.h"

namespace kith::dht {
namespace {

constexpr std::string_view contact_label = "kith contact v1";
constexpr std::uint8_t contact_version = 1;
constexpr std::uint8_t flag_left = 1;

namespace offset {
constexpr std::size_t version = 0;
constexpr std::size_t flags = 1;
constexpr std::size_t weight = 2;
constexpr std::size_t endpoint_count = 3;
constexpr std::size_t name_length = 4;
constexpr std::size_t zone_length = 5;
constexpr std::size_t signing_key = 6;
constexpr std::size_t exchange_key = 38;
constexpr std::size_t incarnation = 70;
constexpr std::size_t endpoints = 78;
}  // namespace offset

constexpr std::size_t address_bytes = 16;
constexpr std::size_t endpoint_bytes = 18;
constexpr std::size_t signature_bytes = 64;

void append(crypto::Bytes& bytes, crypto::ByteSpan more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

crypto::Bytes encode_unsigned(const Contact& contact) {
  crypto::Bytes bytes(offset::endpoints);
  bytes[offset::version] = contact_version;
  bytes[offset::flags] = contact.has_left ? flag_left : 0;
  bytes[offset::weight] = contact.weight;
  bytes[offset::endpoint_count] = static_cast<std::uint8_t>(contact.endpoints.size());
  bytes[offset::name_length] = static_cast<std::uint8_t>(contact.name.size());
  bytes[offset::zone_length] = static_cast<std::uint8_t>(contact.zone.size());
  std::ranges::copy(contact.signing_key, &bytes[offset::signing_key]);
  std::ranges::copy(contact.exchange_key, &bytes[offset::exchange_key]);
  crypto::store_be64(&bytes[offset::incarnation], contact.incarnation);
  for (const Endpoint& endpoint : contact.endpoints) {
    std::array<std::uint8_t, 2> port;
    crypto::store_be16(port.data(), endpoint.port);
    append(bytes, endpoint.address);
    append(bytes, port);
  }
  append(bytes, crypto::as_bytes(contact.name));
  append(bytes, crypto::as_bytes(contact.zone));
  return bytes;
}

bool is_within_limits(const Contact& contact) {
  return contact.weight <= limits::weight_max && (contact.weight == 0 || !contact.has_left) &&
         contact.endpoints.size() <= limits::endpoints_per_contact &&
         std::ranges::none_of(contact.endpoints, [](const Endpoint& endpoint) { return endpoint.port == 0; }) &&
         contact.name.size() <= limits::name_bytes_max && contact.zone.size() <= limits::zone_bytes_max &&
         is_printable(contact.name) && is_printable(contact.zone);
}

// The lengths that the head announces are those of the bytes, exactly.
bool has_announced_size(crypto::ByteSpan bytes) {
  if (bytes.size() < offset::endpoints + signature_bytes) return false;
  if (bytes[offset::version] != contact_version || bytes[offset::flags] > flag_left) return false;
  return bytes.size() == offset::endpoints + bytes[offset::endpoint_count] * endpoint_bytes +
                             bytes[offset::name_length] + bytes[offset::zone_length] + signature_bytes;
}

Endpoint endpoint_from(crypto::ByteSpan bytes) {
  Endpoint endpoint;
  std::ranges::copy(bytes.first(address_bytes), endpoint.address.begin());
  endpoint.port = crypto::load_be16(&bytes[address_bytes]);
  return endpoint;
}

// Requires: has_announced_size(bytes).
Contact decode(crypto::ByteSpan bytes) {
  Contact contact;
  contact.weight = bytes[offset::weight];
  contact.has_left = bytes[offset::flags] == flag_left;
  std::ranges::copy(bytes.subspan(offset::signing_key, 32), contact.signing_key.begin());
  std::ranges::copy(bytes.subspan(offset::exchange_key, 32), contact.exchange_key.begin());
  contact.id = node_id_of(contact.signing_key);
  contact.incarnation = crypto::load_be64(&bytes[offset::incarnation]);
  std::size_t at = offset::endpoints;
  for (std::size_t i = 0; i < bytes[offset::endpoint_count]; ++i, at += endpoint_bytes) {
    contact.endpoints.push_back(endpoint_from(bytes.subspan(at, endpoint_bytes)));
  }
  const auto name_end = bytes.begin() + static_cast<std::ptrdiff_t>(at) + bytes[offset::name_length];
  contact.name.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at), name_end);
  contact.zone.assign(name_end, name_end + bytes[offset::zone_length]);
  contact.bytes.assign(bytes.begin(), bytes.end());
  return contact;
}

bool has_valid_signature(const Contact& contact, const Signatures& signatures) {
  const crypto::ByteSpan bytes(contact.bytes);
  crypto::Signature signature;
  std::ranges::copy(bytes.last(signature_bytes), signature.begin());
  return signatures.verify(contact.signing_key, contact_label, bytes.first(bytes.size() - signature_bytes), signature);
}

}  // namespace

Contact sign_contact(Contact fields, const Signatures& signatures) {
  KITH_ASSERT(is_within_limits(fields));
  fields.signing_key = signatures.signing_key();
  fields.exchange_key = signatures.exchange_key();
  fields.id = node_id_of(fields.signing_key);
  fields.bytes = encode_unsigned(fields);
  append(fields.bytes, signatures.sign(contact_label, fields.bytes));
  return fields;
}

std::optional<Contact> read_contact(crypto::ByteSpan bytes, const Signatures& signatures) {
  if (!has_announced_size(bytes)) return std::nullopt;
  Contact contact = decode(bytes);
  if (!is_within_limits(contact) || !has_valid_signature(contact, signatures)) return std::nullopt;
  return contact;
}

}  // namespace kith::dht
