// SPDX-License-Identifier: MIT
#include "dht/model/text.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace kith::dht {
namespace {

// How many bytes follow a leading byte, its own bits, and the least code point that needs this length.
struct Lead {
  std::size_t more;
  std::uint32_t bits;
  std::uint32_t least;
};

std::optional<Lead> read_lead(std::uint8_t byte) {
  if (byte < 0x80) return Lead{0, byte, 0};
  if ((byte & 0xe0U) == 0xc0) return Lead{1, byte & 0x1fU, 0x80};
  if ((byte & 0xf0U) == 0xe0) return Lead{2, byte & 0x0fU, 0x800};
  if ((byte & 0xf8U) == 0xf0) return Lead{3, byte & 0x07U, 0x10000};
  return std::nullopt;
}

// Takes one code point off the front; absent where the bytes are no UTF-8.
std::optional<std::uint32_t> take_code_point(std::string_view& text) {
  const auto lead = read_lead(static_cast<std::uint8_t>(text.front()));
  if (!lead || text.size() <= lead->more) return std::nullopt;
  std::uint32_t point = lead->bits;
  for (std::size_t i = 1; i <= lead->more; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if ((byte & 0xc0U) != 0x80) return std::nullopt;
    point = (point << 6U) | (byte & 0x3fU);
  }
  text.remove_prefix(lead->more + 1);
  const bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
  if (point < lead->least || point > 0x10ffff || is_surrogate) return std::nullopt;
  return point;
}

bool is_shown_in_place(std::uint32_t point) {
  if (point < 0x20 || (point >= 0x7f && point < 0xa0)) return false;            // controls
  if (point == 0x061c || (point >= 0x200b && point <= 0x200f)) return false;    // zero width, direction marks
  if (point >= 0x2028 && point <= 0x202e) return false;                         // separators, direction overrides
  if (point >= 0x2060 && point <= 0x206f) return false;                         // invisible operators, isolates
  if (point == 0xfeff || (point >= 0xfff9 && point <= 0xfffb)) return false;    // byte order mark, annotations
  if (point >= 0xe0000 && point <= 0xe0fff) return false;                       // tags
  return (point & 0xfffeU) != 0xfffe && !(point >= 0xfdd0 && point <= 0xfdef);  // non-characters
}

}  // namespace

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const auto point = take_code_point(text);
    if (!point || !is_shown_in_place(*point)) return false;
  }
  return true;
}

}  // namespace kith::dht
