// SPDX-License-Identifier: MIT
// What the core believes to be unsent of a stream. It need not hear of every write that leaves, only of those that it
// may be waiting for: limits::stream_unsent_bytes_max and more keep it from writing on.
#pragma once

#include <cstddef>

#include "dht/model/limits.h"

namespace kith::daemon {

class StreamAccount {
 public:
  void wrote(std::size_t bytes) { believed_ += bytes; }

  // True when the core is to be told that so much is unsent, which it then believes.
  bool must_tell(std::size_t unsent_bytes) {
    if (believed_ < dht::limits::stream_unsent_bytes_max || unsent_bytes >= believed_) return false;
    believed_ = unsent_bytes;
    return true;
  }

 private:
  std::size_t believed_ = 0;
};

}  // namespace kith::daemon
