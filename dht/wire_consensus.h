// SPDX-License-Identifier: MIT
// What proposers and voters say, as bytes (docs/wire.md, "Strong namespaces"). Each reader takes exactly what its
// writer writes, or nothing.
#pragma once

#include <vector>

#include "crypto/bytes.h"
#include "dht/model/message.h"

namespace kith::dht::wire {

// counter u64 · proposer u64
crypto::Bytes ballot_to_bytes(const Ballot& ballot);
bool read_ballot(crypto::ByteSpan bytes, Ballot& out);

// (key 32, promised 16, accepted 16)…
crypto::Bytes register_versions_to_bytes(const std::vector<RegisterVersion>& versions);
bool read_register_versions(crypto::ByteSpan bytes, std::vector<RegisterVersion>& out);

}  // namespace kith::dht::wire
