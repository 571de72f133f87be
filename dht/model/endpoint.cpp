// SPDX-License-Identifier: MIT
#include "dht/model/endpoint.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <span>
#include <vector>

#include "crypto/bytes.h"

namespace kith::dht {
namespace {

using Address = std::array<std::uint8_t, 16>;

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::size_t group_count = 8;

bool is_mapped(const Address& address) { return std::ranges::equal(mapped_prefix, std::span(address).first(12)); }

std::uint16_t group_of(const Address& address, std::size_t index) { return crypto::load_be16(&address[index * 2]); }

std::string ipv4_text(const Address& address) {
  std::string text;
  for (std::size_t i = 12; i < 16; ++i) text.append(i > 12 ? "." : "").append(std::to_string(address[i]));
  return text;
}

// The longest run of two or more zero groups, the first among equals (RFC 5952 §4.2); empty where there is none.
struct GroupRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};
GroupRange longest_zeros(const Address& address) {
  GroupRange longest;
  for (std::size_t begin = 0; begin < group_count; ++begin) {
    std::size_t end = begin;
    while (end < group_count && group_of(address, end) == 0) ++end;
    if (end - begin > std::max<std::size_t>(longest.end - longest.begin, 1)) longest = {begin, end};
  }
  return longest;
}

std::string groups_text(const Address& address, GroupRange range) {
  std::string text;
  for (std::size_t i = range.begin; i < range.end; ++i) {
    std::array<char, 4> digits;
    const auto written = std::to_chars(digits.begin(), digits.end(), group_of(address, i), 16);
    text.append(i > range.begin ? ":" : "").append(digits.begin(), written.ptr);
  }
  return text;
}

std::string ipv6_text(const Address& address) {
  const GroupRange zeros = longest_zeros(address);
  if (zeros.begin == zeros.end) return groups_text(address, {0, group_count});
  return groups_text(address, {0, zeros.begin}) + "::" + groups_text(address, {zeros.end, group_count});
}

// All of the text is one number within bounds, without sign, space or, in base 10, leading zero.
std::optional<std::uint16_t> read_number(std::string_view text, int base, unsigned max) {
  unsigned value = 0;
  if (text.empty() || text.size() > 5 || (base == 10 && text.size() > 1 && text[0] == '0')) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (auto at = text.find(separator); at != text.npos; at = text.find(separator)) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  parts.push_back(text);
  return parts;
}

std::optional<crypto::Bytes> read_ipv4(std::string_view text) {
  const auto parts = split(text, '.');
  crypto::Bytes bytes;
  if (parts.size() != 4) return std::nullopt;
  for (const std::string_view part : parts) {
    const auto number = read_number(part, 10, 255);
    if (!number) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*number));
  }
  return bytes;
}

// Groups parted by single colons; the last may be an IPv4 address.
std::optional<crypto::Bytes> read_groups(std::string_view text) {
  crypto::Bytes bytes;
  if (text.empty()) return bytes;
  const auto parts = split(text, ':');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i + 1 == parts.size() && parts[i].find('.') != std::string_view::npos) {
      const auto ipv4 = read_ipv4(parts[i]);
      if (!ipv4) return std::nullopt;
      bytes.insert(bytes.end(), ipv4->begin(), ipv4->end());
      continue;
    }
    const auto group = parts[i].size() <= 4 ? read_number(parts[i], 16, 0xffff) : std::nullopt;
    if (!group) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*group >> 8U));
    bytes.push_back(static_cast<std::uint8_t>(*group & 0xffU));
  }
  return bytes;
}

std::optional<Address> read_ipv6(std::string_view text) {
  const auto gap = text.find("::");
  const bool has_gap = gap != text.npos;
  if (has_gap && text.substr(0, gap).find('.') != text.npos) return std::nullopt;  // IPv4 stands last or nowhere
  const auto head = read_groups(text.substr(0, gap));
  const auto tail = read_groups(has_gap ? text.substr(gap + 2) : "");
  if (!head || !tail) return std::nullopt;
  const std::size_t given = head->size() + tail->size();
  if (has_gap ? given > 14 : given != 16) return std::nullopt;
  Address address{};
  std::ranges::copy(*head, address.begin());
  std::ranges::copy_backward(*tail, address.end());
  return address;
}

std::optional<Address> read_mapped(std::string_view text) {
  const auto ipv4 = read_ipv4(text);
  if (!ipv4) return std::nullopt;
  Address address{};
  std::ranges::copy(mapped_prefix, address.begin());
  std::ranges::copy_backward(*ipv4, address.end());
  return address;
}

}  // namespace

std::string to_text(const Endpoint& endpoint) {
  const std::string port = ":" + std::to_string(endpoint.port);
  return is_mapped(endpoint.address) ? ipv4_text(endpoint.address) + port
                                     : "[" + ipv6_text(endpoint.address) + "]" + port;
}

std::optional<Endpoint> endpoint_from_text(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const auto port = read_number(text.substr(colon + 1), 10, 65535);
  std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  const auto address = in_brackets ? read_ipv6(host.substr(1, host.size() - 2)) : read_mapped(host);
  if (!port || !address) return std::nullopt;
  return Endpoint{.address = *address, .port = *port};
}

}  // namespace kith::dht
