// SPDX-License-Identifier: MIT
// The kernel's randomness: the only place where kith draws any. Everything else is grown from it by crypto::Rng.
#pragma once

#include "crypto/secret.h"

namespace kith::daemon {

// 32 bytes to seed a generator with. Stops the process when the kernel has none to give, which does not happen.
crypto::Secret<32> draw_seed();

}  // namespace kith::daemon
