// SPDX-License-Identifier: MIT
// Byte strings, and their fixed-width integer and text forms. Everything in kith that leaves the process or is
// hashed is built from these; nothing here knows what the bytes mean.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kith::crypto {

using Bytes = std::vector<std::uint8_t>;
using ByteSpan = std::span<const std::uint8_t>;
using MutableByteSpan = std::span<std::uint8_t>;
template <std::size_t N>
using ByteArray = std::array<std::uint8_t, N>;

// Fixed-width integers at `at`. Requires: the whole integer fits behind `at`; no alignment is needed.
void store_be16(std::uint8_t* at, std::uint16_t value);
void store_be32(std::uint8_t* at, std::uint32_t value);
void store_be64(std::uint8_t* at, std::uint64_t value);
std::uint16_t load_be16(const std::uint8_t* at);
std::uint32_t load_be32(const std::uint8_t* at);
std::uint64_t load_be64(const std::uint8_t* at);

void store_le16(std::uint8_t* at, std::uint16_t value);
void store_le32(std::uint8_t* at, std::uint32_t value);
void store_le64(std::uint8_t* at, std::uint64_t value);
std::uint16_t load_le16(const std::uint8_t* at);
std::uint32_t load_le32(const std::uint8_t* at);
std::uint64_t load_le64(const std::uint8_t* at);

// The bytes of `text`, which must outlive the result.
ByteSpan as_bytes(std::string_view text);

// Lower-case hexadecimal. Reading takes either case; anything else, or an odd length, is no bytes at all.
std::string to_hex(ByteSpan bytes);
std::optional<Bytes> from_hex(std::string_view text);

// RFC 4648 base32, lower case and unpadded: what a person can copy, and what a double click selects whole.
// Reading takes either case. Lengths no encoder makes and non-zero spare bits are refused, so that every
// byte string has one spelling.
std::string to_base32(ByteSpan bytes);
std::optional<Bytes> from_base32(std::string_view text);

// Takes a time that depends on the lengths only, never on where the contents differ.
bool equal_constant_time(ByteSpan a, ByteSpan b);

}  // namespace kith::crypto
