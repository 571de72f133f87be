// SPDX-License-Identifier: MIT
#include "dht/address_book.h"

#include <catch2/catch.hpp>

#include "tests/support/contacts.h"
#include "tests/support/session_net.h"

namespace kith::dht {

using tests::endpoint_of;

TEST_CASE("the proven place is tried first, then what the operator said, then what the contact says", "[addresses]") {
  Contact contact = tests::signed_contact(1);
  for (std::uint16_t port = 1; port <= limits::endpoints_per_contact; ++port) {
    contact.endpoints.push_back(endpoint_of(1, port));
  }
  AddressBook book;
  book.add({.signing_key = contact.signing_key, .exchange_key = contact.exchange_key, .endpoints = {endpoint_of(2)}});
  const auto address = book.find(contact.id, &contact, {.identity = nullptr, .path = endpoint_of(3)});
  REQUIRE(address);
  REQUIRE(address->endpoints.size() == limits::endpoints_per_contact);
  CHECK(address->endpoints.at(0) == endpoint_of(3));
  CHECK(address->endpoints.at(1) == endpoint_of(2));
  CHECK(address->endpoints.at(2) == endpoint_of(1, 1));
  CHECK(address->incarnation == contact.incarnation);
}

}  // namespace kith::dht
