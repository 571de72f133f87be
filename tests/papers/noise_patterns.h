// SPDX-License-Identifier: MIT
// The handshake patterns of the Noise specification, revision 34, as data: one-way (§7.4), fundamental (§7.5) and
// deferred (§18.1), and the psk modifiers of §9.
#pragma once

#include <optional>
#include <string_view>

#include "crypto/noise.h"

namespace kith::tests {

// The pattern called `name`, such as "XX", "X1K1", "IKpsk2" or "XXpsk0+psk3". The result views `name`.
std::optional<crypto::HandshakePattern> noise_pattern(std::string_view name);

}  // namespace kith::tests
