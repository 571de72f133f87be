// SPDX-License-Identifier: MIT
#pragma once

#include "dht/model/message.h"

namespace kith::dht {

// About how many bytes a message of repair takes on the wire, with all headers. For pacing and counting.
std::size_t weight_of(const Body& body);

}  // namespace kith::dht
