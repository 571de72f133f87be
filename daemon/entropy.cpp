// SPDX-License-Identifier: MIT
#include "daemon/entropy.h"

#include <cstdlib>

#include <sys/random.h>

namespace kith::daemon {

crypto::Secret<32> draw_seed() {
  crypto::Secret<32> seed;
  // Up to 256 bytes come whole or not at all (getrandom(2)).
  if (getrandom(seed.data(), seed.size(), 0) != static_cast<ssize_t>(seed.size())) std::abort();
  return seed;
}

}  // namespace kith::daemon
