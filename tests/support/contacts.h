// SPDX-License-Identifier: MIT
// Contacts of made-up nodes, by number.
#pragma once

#include <string>

#include "dht/model/contact.h"
#include "tests/support/hash_signatures.h"

namespace kith::tests {

struct ContactOptions {
  std::uint8_t weight = 1;
  std::string zone = {};
  dht::Incarnation incarnation = 1;
  bool has_left = false;
};

// Unsigned: for what trusts its caller to have checked.
inline dht::Contact numbered_contact(std::uint64_t number, const ContactOptions& options = {}) {
  dht::Contact contact;
  contact.signing_key = numbered_key(number);
  contact.id = dht::node_id_of(contact.signing_key);
  contact.weight = options.weight;
  contact.zone = options.zone;
  contact.incarnation = options.incarnation;
  contact.has_left = options.has_left;
  return contact;
}

inline dht::NodeId numbered_node(std::uint64_t number) { return numbered_contact(number).id; }

// With the bytes that read_contact() takes.
inline dht::Contact signed_contact(std::uint64_t number, const ContactOptions& options = {}) {
  const HashSignatures signatures(number);
  dht::Contact fields = numbered_contact(number, options);
  fields.exchange_key = signatures.exchange_key();
  fields.name = "node" + std::to_string(number);
  return dht::sign_contact(fields, signatures);
}

}  // namespace kith::tests
