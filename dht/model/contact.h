// SPDX-License-Identifier: MIT
// What nodes tell each other about a node, signed by it (docs/wire.md, "Contacts").
//
//   version u8 · flags u8 · weight u8 · endpoint count u8 · name length u8 · zone length u8 · signing key 32 ·
//   exchange key 32 · incarnation u64 · endpoints (address 16, port u16)… · name · zone · signature 64
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/keys.h"
#include "dht/model/endpoint.h"
#include "dht/model/id.h"
#include "dht/model/signatures.h"

namespace kith::dht {

// Raised by a member to refute a suspicion; begins at the wall clock so that a restart never reuses one.
using Incarnation = std::uint64_t;

struct Contact {
  NodeId id;  // derived from signing_key, never sent
  crypto::PublicKey signing_key{};
  crypto::PublicKey exchange_key{};
  Incarnation incarnation = 0;
  std::uint8_t weight = 1;  // of its capacity; 0: it is leaving, and nothing is to be placed on it
  bool has_left = false;    // for good; its last word, and only with weight 0
  std::vector<Endpoint> endpoints;
  std::string name;
  std::string zone;
  crypto::Bytes bytes;  // as signed: what is stored, relayed and verified
};

// Fills in id, keys and bytes. Requires: the other fields are within limits.h, name and zone printable.
Contact sign_contact(Contact fields, const Signatures& signatures);

// Absent when malformed, outside limits.h, not printable, or not signed by the key it names.
std::optional<Contact> read_contact(crypto::ByteSpan bytes, const Signatures& signatures);

}  // namespace kith::dht
