// SPDX-License-Identifier: MIT
// What reaping says, as bytes (docs/wire.md, "Reaping"). Each reader takes exactly what its writer writes, or nothing.
#pragma once

#include <vector>

#include "crypto/bytes.h"
#include "dht/model/message.h"

namespace kith::dht::wire {

crypto::Bytes reap_partitions_to_bytes(const std::vector<ReapPartition>& partitions);
bool read_reap_partitions(crypto::ByteSpan bytes, std::vector<ReapPartition>& out);

crypto::Bytes reaped_marks_to_bytes(const std::vector<ReapedMark>& marks);
bool read_reaped_marks(crypto::ByteSpan bytes, std::vector<ReapedMark>& out);

crypto::Bytes reap_verdicts_to_bytes(const std::vector<ReapVerdict>& verdicts);
bool read_reap_verdicts(crypto::ByteSpan bytes, std::vector<ReapVerdict>& out);

}  // namespace kith::dht::wire
