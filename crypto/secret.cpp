// SPDX-License-Identifier: MIT
#include "crypto/secret.h"

#include <sodium.h>

namespace kith::crypto {

void wipe(MutableByteSpan bytes) { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace kith::crypto
