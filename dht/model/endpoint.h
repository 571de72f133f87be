// SPDX-License-Identifier: MIT
// Where a node can be reached.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kith::dht {

// An address and a port. IPv4 is held as an IPv4-mapped IPv6 address, so there is one form only.
struct Endpoint {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// "192.168.1.7:5484" and "[fe80::1]:5484" (RFC 5952 §4). Reading takes any form of RFC 4291 §2.2 without a zone.
std::string to_text(const Endpoint& endpoint);
std::optional<Endpoint> endpoint_from_text(std::string_view text);

}  // namespace kith::dht
