// SPDX-License-Identifier: MIT
#include "crypto/bytes.h"

#include <sodium.h>

#include <utility>

namespace kith::crypto {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view base32_digits = "abcdefghijklmnopqrstuvwxyz234567";

// Bytes are named one by one, not in a loop: compilers know this form for a single load or store.
template <class Integer>
using Bytewise = std::make_index_sequence<sizeof(Integer)>;

template <class Integer, std::size_t... I>
void store_be(std::uint8_t* at, Integer value, std::index_sequence<I...>) {
  ((at[I] = static_cast<std::uint8_t>(value >> (8 * (sizeof...(I) - 1 - I)))), ...);
}

template <class Integer, std::size_t... I>
Integer load_be(const std::uint8_t* at, std::index_sequence<I...>) {
  return static_cast<Integer>(((static_cast<std::uint64_t>(at[I]) << (8 * (sizeof...(I) - 1 - I))) | ...));
}

template <class Integer, std::size_t... I>
void store_le(std::uint8_t* at, Integer value, std::index_sequence<I...>) {
  ((at[I] = static_cast<std::uint8_t>(value >> (8 * I))), ...);
}

template <class Integer, std::size_t... I>
Integer load_le(const std::uint8_t* at, std::index_sequence<I...>) {
  return static_cast<Integer>(((static_cast<std::uint64_t>(at[I]) << (8 * I)) | ...));
}

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The value of a digit in either case; empty if `c` is no digit of this alphabet.
std::optional<unsigned> digit_value(std::string_view digits, char c) {
  const auto found = digits.find(to_lower(c));
  if (found == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned>(found);
}

}  // namespace

void store_be16(std::uint8_t* at, std::uint16_t value) { store_be(at, value, Bytewise<std::uint16_t>{}); }
void store_be32(std::uint8_t* at, std::uint32_t value) { store_be(at, value, Bytewise<std::uint32_t>{}); }
void store_be64(std::uint8_t* at, std::uint64_t value) { store_be(at, value, Bytewise<std::uint64_t>{}); }
std::uint16_t load_be16(const std::uint8_t* at) { return load_be<std::uint16_t>(at, Bytewise<std::uint16_t>{}); }
std::uint32_t load_be32(const std::uint8_t* at) { return load_be<std::uint32_t>(at, Bytewise<std::uint32_t>{}); }
std::uint64_t load_be64(const std::uint8_t* at) { return load_be<std::uint64_t>(at, Bytewise<std::uint64_t>{}); }

void store_le16(std::uint8_t* at, std::uint16_t value) { store_le(at, value, Bytewise<std::uint16_t>{}); }
void store_le32(std::uint8_t* at, std::uint32_t value) { store_le(at, value, Bytewise<std::uint32_t>{}); }
void store_le64(std::uint8_t* at, std::uint64_t value) { store_le(at, value, Bytewise<std::uint64_t>{}); }
std::uint16_t load_le16(const std::uint8_t* at) { return load_le<std::uint16_t>(at, Bytewise<std::uint16_t>{}); }
std::uint32_t load_le32(const std::uint8_t* at) { return load_le<std::uint32_t>(at, Bytewise<std::uint32_t>{}); }
std::uint64_t load_le64(const std::uint8_t* at) { return load_le<std::uint64_t>(at, Bytewise<std::uint64_t>{}); }

ByteSpan as_bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::string to_hex(ByteSpan bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    text.push_back(hex_digits[byte >> 4]);
    text.push_back(hex_digits[byte & 15]);
  }
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = digit_value(hex_digits, text[i]);
    const auto low = digit_value(hex_digits, text[i + 1]);
    if (!high || !low) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*high << 4 | *low));
  }
  return bytes;
}

std::string to_base32(ByteSpan bytes) {
  std::string text;
  text.reserve((bytes.size() * 8 + 4) / 5);
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  for (const auto byte : bytes) {
    pending = (pending << 8 | byte) & 0xfffU;
    pending_bits += 8;
    for (; pending_bits >= 5; pending_bits -= 5) text.push_back(base32_digits[pending >> (pending_bits - 5) & 31]);
  }
  if (pending_bits > 0) text.push_back(base32_digits[pending << (5 - pending_bits) & 31]);
  return text;
}

std::optional<Bytes> from_base32(std::string_view text) {
  const std::size_t spare_bits = text.size() * 5 % 8;
  if (spare_bits >= 5) return std::nullopt;
  Bytes bytes;
  bytes.reserve(text.size() * 5 / 8);
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  for (const char c : text) {
    const auto digit = digit_value(base32_digits, c);
    if (!digit) return std::nullopt;
    pending = (pending << 5 | *digit) & 0xfffU;
    pending_bits += 5;
    if (pending_bits < 8) continue;
    pending_bits -= 8;
    bytes.push_back(static_cast<std::uint8_t>(pending >> pending_bits));
  }
  if ((pending & ((1U << spare_bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

bool equal_constant_time(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace kith::crypto
