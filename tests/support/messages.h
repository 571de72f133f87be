// SPDX-License-Identifier: MIT
// Messages to test with: one sample of each kind with every field set, and arbitrary ones within the limits.
#pragma once

#include <string>
#include <vector>

#include <rapidcheck.h>

#include "dht/model/message.h"

namespace kith::tests {

// 32 bytes of `fill`.
dht::Id id_of(std::uint8_t fill);

struct Sample {
  std::string name;
  dht::Message message;
};
std::vector<Sample> sample_messages();

rc::Gen<dht::Message> arbitrary_message();

}  // namespace kith::tests
