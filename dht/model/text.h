// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace kith::dht {

// True for well-formed UTF-8 (RFC 3629) without anything that moves, hides or reorders what is printed around it:
// no control characters, line separators, direction marks or non-characters. What a stranger calls himself is
// shown on terminals and in logs.
bool is_printable(std::string_view text);

}  // namespace kith::dht
