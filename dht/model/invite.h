// SPDX-License-Identifier: MIT
// An invite: one line of text with all that a device needs to become a member (docs/wire.md, "Invite"). Whoever
// reads it can join, so it travels as a password would.
//
//   "kith1" base32( version u8 · mesh id 16 · mesh secret 32 · data key 32 ·
//                   seed count u8 · { signing key 32 · exchange key 32 · endpoint count u8 · { address 16 · port u16 }
//                   } · checksum 4 )
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dht/model/mesh.h"
#include "dht/model/result.h"

namespace kith::dht {

struct Invite {
  MeshKeys mesh;
  std::vector<Seed> seeds;  // none: the mesh is to be found by multicast
};

// Requires: seeds and endpoints within limits.h; each seed has an endpoint, and no port is zero.
std::string to_text(const Invite& invite);

// Takes either case, and white space around the invite as a paste brings it. Otherwise one invite has one spelling.
// The error says what is wrong with the text.
Result<Invite> invite_from_text(std::string_view text);

// KEY@HOST:PORT, for members that lost their contacts: KEY is base32 of signing key ‖ exchange key. The host is a
// name or an address, IPv6 in brackets; whoever has a resolver turns it into endpoints.
struct SeedAddress {
  crypto::PublicKey signing_key{};
  crypto::PublicKey exchange_key{};
  std::string host;  // without brackets
  std::uint16_t port = 0;
};

std::string to_text(const SeedAddress& seed);
// The same of a seed's first endpoint. Requires: it has one.
std::string seed_address_text(const Seed& seed);
Result<SeedAddress> seed_address_from_text(std::string_view text);

// Tells the two forms of --join apart: an invite has no '@'.
bool is_seed_address(std::string_view text);

}  // namespace kith::dht
