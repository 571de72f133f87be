// SPDX-License-Identifier: MIT
#include "dht/model/invite.h"

#include <algorithm>
#include <charconv>

#include "crypto/assert.h"
#include "crypto/hash.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr std::string_view invite_prefix = "kith1";
constexpr std::uint8_t invite_version = 1;
constexpr std::size_t checksum_bytes = 4;
constexpr std::size_t mesh_bytes = 1 + 16 + 32 + 32;
constexpr std::size_t endpoint_bytes = 16 + 2;
constexpr std::size_t seed_bytes_max = 32 + 32 + 1 + limits::invite_endpoints_max * endpoint_bytes;
constexpr std::size_t invite_bytes_max = mesh_bytes + 1 + limits::invite_seeds_max * seed_bytes_max + checksum_bytes;
constexpr std::size_t seed_key_bytes = 64;

Error invalid(std::string message) { return {ErrorCode::invalid, std::move(message)}; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view white_space = " \t\r\n";
  const auto first = text.find_first_not_of(white_space);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

bool begins_with_prefix(std::string_view text) {
  return text.size() >= invite_prefix.size() &&
         std::equal(invite_prefix.begin(), invite_prefix.end(), text.begin(),
                    [](char expected, char c) { return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) == expected; });
}

crypto::ByteArray<checksum_bytes> checksum_of(crypto::ByteSpan content) {
  const auto hash = crypto::blake2b_256({crypto::as_bytes("kith invite v1"), content});
  crypto::ByteArray<checksum_bytes> checksum;
  std::copy_n(hash.begin(), checksum_bytes, checksum.begin());
  return checksum;
}

void append(crypto::Bytes& bytes, crypto::ByteSpan more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

void append_seed(crypto::Bytes& bytes, const Seed& seed) {
  KITH_ASSERT(!seed.endpoints.empty() && seed.endpoints.size() <= limits::invite_endpoints_max);
  append(bytes, seed.signing_key);
  append(bytes, seed.exchange_key);
  bytes.push_back(static_cast<std::uint8_t>(seed.endpoints.size()));
  for (const Endpoint& endpoint : seed.endpoints) {
    append(bytes, endpoint.address);
    bytes.push_back(static_cast<std::uint8_t>(endpoint.port >> 8));
    bytes.push_back(static_cast<std::uint8_t>(endpoint.port & 0xff));
  }
}

// Reads fixed-width fields from the front; one read too far leaves it failed and yields zeros from then on.
class Fields {
 public:
  explicit Fields(crypto::ByteSpan bytes) : rest_(bytes) {}

  template <std::size_t N>
  crypto::ByteArray<N> bytes() {
    crypto::ByteArray<N> field{};
    if (rest_.size() < N) {
      is_failed_ = true;
      rest_ = {};
      return field;
    }
    std::copy_n(rest_.begin(), N, field.begin());
    rest_ = rest_.subspan(N);
    return field;
  }
  std::uint8_t u8() { return bytes<1>()[0]; }
  std::uint16_t u16() { return crypto::load_be16(bytes<2>().data()); }

  bool ended_exactly() const { return !is_failed_ && rest_.empty(); }

 private:
  crypto::ByteSpan rest_;
  bool is_failed_ = false;
};

std::optional<Seed> read_seed(Fields& fields) {
  Seed seed{fields.bytes<32>(), fields.bytes<32>(), {}};
  if (!crypto::is_canonical_exchange_key(seed.exchange_key)) return std::nullopt;
  const std::size_t endpoints = fields.u8();
  if (endpoints == 0 || endpoints > limits::invite_endpoints_max) return std::nullopt;
  for (std::size_t i = 0; i < endpoints; ++i) {
    seed.endpoints.push_back({fields.bytes<16>(), fields.u16()});
    if (seed.endpoints.back().port == 0) return std::nullopt;
  }
  return seed;
}

// `content` passed its checksum: what is wrong with it now was wrong when it was made.
Result<Invite> read_invite(crypto::ByteSpan content) {
  const Error malformed = invalid("the invite is whole but malformed: ask for a new one");
  Fields fields(content);
  if (fields.u8() != invite_version) return invalid("the invite was made by a newer kith: upgrade this one");
  Invite invite;
  invite.mesh.id = fields.bytes<16>();
  auto secret = fields.bytes<32>();
  invite.mesh.secret = crypto::Secret<32>(secret);
  crypto::wipe(secret);
  invite.mesh.data_key = fields.bytes<32>();
  const std::size_t seeds = fields.u8();
  if (seeds > limits::invite_seeds_max) return malformed;
  for (std::size_t i = 0; i < seeds; ++i) {
    auto seed = read_seed(fields);
    if (!seed) return malformed;
    invite.seeds.push_back(std::move(*seed));
  }
  if (!fields.ended_exactly()) return malformed;
  return invite;
}

std::optional<std::uint16_t> read_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// HOST:PORT, where an IPv6 host stands in brackets. Absent when either is missing.
struct HostPort {
  std::string_view host;
  std::uint16_t port = 0;
};
std::optional<HostPort> split_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const auto port = read_port(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  const bool has_stray = host.find_first_of("[] \t\r\n@") != host.npos;
  if (!port || host.empty() || has_stray || (!is_bracketed && host.find(':') != host.npos)) return std::nullopt;
  return HostPort{host, *port};
}

}  // namespace

std::string to_text(const Invite& invite) {
  KITH_ASSERT(invite.seeds.size() <= limits::invite_seeds_max);
  crypto::Bytes bytes;
  bytes.reserve(invite_bytes_max);
  bytes.push_back(invite_version);
  append(bytes, invite.mesh.id);
  append(bytes, invite.mesh.secret.span());
  append(bytes, invite.mesh.data_key);
  bytes.push_back(static_cast<std::uint8_t>(invite.seeds.size()));
  for (const Seed& seed : invite.seeds) append_seed(bytes, seed);
  append(bytes, checksum_of(bytes));
  std::string text = std::string(invite_prefix) + crypto::to_base32(bytes);
  crypto::wipe(bytes);
  return text;
}

Result<Invite> invite_from_text(std::string_view text) {
  text = trimmed(text);
  if (!begins_with_prefix(text)) return invalid("not an invite: an invite begins with kith1");
  text.remove_prefix(invite_prefix.size());
  auto bytes = crypto::from_base32(text);
  if (!bytes) return invalid("the invite has a character or a length that no invite has: was the whole invite copied?");
  if (bytes->size() < mesh_bytes + 1 + checksum_bytes)
    return invalid("the invite is too short: was the whole invite copied?");
  if (bytes->size() > invite_bytes_max) return invalid("the invite is too long: was something else copied with it?");
  const auto content = crypto::ByteSpan(*bytes).first(bytes->size() - checksum_bytes);
  if (!std::ranges::equal(checksum_of(content), crypto::ByteSpan(*bytes).last(checksum_bytes))) {
    return invalid("the invite's checksum does not match: was the whole invite copied?");
  }
  auto invite = read_invite(content);
  crypto::wipe(*bytes);
  return invite;
}

std::string to_text(const SeedAddress& seed) {
  crypto::Bytes key;
  append(key, seed.signing_key);
  append(key, seed.exchange_key);
  const bool is_ipv6 = seed.host.find(':') != seed.host.npos;
  const std::string host = is_ipv6 ? "[" + seed.host + "]" : seed.host;
  return crypto::to_base32(key) + "@" + host + ":" + std::to_string(seed.port);
}

std::string seed_address_text(const Seed& seed) {
  KITH_ASSERT(!seed.endpoints.empty());
  const std::string address = to_text(seed.endpoints.front());
  return to_text(SeedAddress{seed.signing_key, seed.exchange_key, std::string(split_host_port(address)->host),
                             seed.endpoints.front().port});
}

Result<SeedAddress> seed_address_from_text(std::string_view text) {
  text = trimmed(text);
  const auto at = text.find('@');
  if (at == text.npos) return invalid("not KEY@HOST:PORT: no '@'");
  const auto key = crypto::from_base32(text.substr(0, at));
  if (!key || key->size() != seed_key_bytes)
    return invalid("the key before '@' is not a node's key: `kith status` there shows it");
  const auto place = split_host_port(text.substr(at + 1));
  if (!place) return invalid("what follows '@' is not HOST:PORT; an IPv6 address stands in brackets");
  SeedAddress seed;
  std::copy_n(key->begin(), 32, seed.signing_key.begin());
  std::copy_n(key->begin() + 32, 32, seed.exchange_key.begin());
  if (!crypto::is_canonical_exchange_key(seed.exchange_key)) return invalid("the key before '@' is no node's key");
  seed.host = place->host;
  seed.port = place->port;
  return seed;
}

bool is_seed_address(std::string_view text) { return text.find('@') != text.npos; }

}  // namespace kith::dht
