// SPDX-License-Identifier: MIT
// Which policies a node has, as bytes (docs/wire.md, "Policies"). The reader takes exactly what the writer writes, or
// nothing.
#pragma once

#include <vector>

#include "crypto/bytes.h"
#include "dht/model/message.h"

namespace kith::dht::wire {

crypto::Bytes policy_versions_to_bytes(const std::vector<PolicyVersion>& versions);
bool read_policy_versions(crypto::ByteSpan bytes, std::vector<PolicyVersion>& out);

}  // namespace kith::dht::wire
