// SPDX-License-Identifier: MIT
// What nodes tell each other about a node, signed by it (docs/wire.md, "Contacts").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/keys.h"
#include "dht/model/id.h"
#include "dht/model/signatures.h"

namespace kith::dht {

// An address and a port. IPv4 is held as an IPv4-mapped IPv6 address, so there is one form only.
struct Endpoint {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// "192.168.1.7:5484" and "[fe80::1]:5484".
std::string to_text(const Endpoint& endpoint);
std::optional<Endpoint> endpoint_from_text(std::string_view text);

// Raised by a member to refute a suspicion; begins at the wall clock so that a restart never reuses one.
using Incarnation = std::uint64_t;

struct Contact {
  NodeId id;  // derived from signing_key, never sent
  crypto::PublicKey signing_key{};
  crypto::PublicKey exchange_key{};
  Incarnation incarnation = 0;
  std::uint8_t weight = 1;
  std::vector<Endpoint> endpoints;
  std::string name;
  std::string zone;
  crypto::Bytes bytes;  // as signed: what is stored, relayed and verified
};

// Fills in id and bytes. Requires: the fields are within limits.h.
Contact sign_contact(Contact fields, const Signatures& signatures);

// Absent when malformed, outside limits.h, or not signed by the key it names.
std::optional<Contact> read_contact(crypto::ByteSpan bytes, const Signatures& signatures);

}  // namespace kith::dht
