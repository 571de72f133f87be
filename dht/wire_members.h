// SPDX-License-Identifier: MIT
// What a comparison of member lists says beside the members, as bytes (docs/wire.md, "Liveness and membership"). There
// may be thousands of digests, so they are packed. Each reader takes exactly what its writer writes, or nothing.
#pragma once

#include <vector>

#include "crypto/bytes.h"
#include "dht/model/message.h"

namespace kith::dht::wire {

crypto::Bytes member_digests_to_bytes(const MemberDigests& digests);
bool read_member_digests(crypto::ByteSpan bytes, MemberDigests& out);

crypto::Bytes member_ranges_to_bytes(const std::vector<MemberRange>& ranges);
bool read_member_ranges(crypto::ByteSpan bytes, std::vector<MemberRange>& out);

}  // namespace kith::dht::wire
