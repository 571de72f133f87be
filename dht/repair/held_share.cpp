// SPDX-License-Identifier: MIT
#include "dht/repair/held_share.h"

#include <algorithm>
#include <bit>

namespace kith::dht {
namespace {

constexpr std::size_t partitions = std::size_t{1} << partition_bits;
constexpr std::size_t held_wanted = 256;

// One in so many partitions is looked at: as many are held as are wanted, where all members hold equally many.
std::size_t stride_for(Neighbours& neighbours) {
  const std::size_t replicas = std::max<std::size_t>(neighbours.replica_set(0).replicas.size(), 1);
  const std::size_t members = std::max(neighbours.members_known(), replicas);
  return std::bit_floor(std::clamp<std::size_t>(partitions * replicas / (held_wanted * members), 1, partitions));
}

}  // namespace

void HeldShare::renew(Neighbours& neighbours, const DigestTrie& trie, std::size_t count_max) {
  if (is_current(neighbours)) return;
  const std::uint64_t view = neighbours.view_version();
  if (std::exchange(coming_from_, view) != view) coming_ = {};
  const bool is_everywhere = neighbours.is_everywhere();
  if (is_everywhere) coming_ = {.looked_at = 1, .held = 1};
  const std::size_t stride = stride_for(neighbours);
  const std::size_t wanted = is_everywhere ? 0 : partitions / stride;
  for (std::size_t seen = 0; coming_.looked_at < wanted && seen < count_max; ++coming_.looked_at, ++seen) {
    // One in each row of partitions, and another one in the next row.
    const auto partition = static_cast<Partition>(coming_.looked_at * stride + coming_.looked_at % stride);
    if (trie.tally(partition).count > 0 || is_replica(neighbours, partition)) coming_.held += 1;
  }
  if (coming_.looked_at < wanted) return;
  sample_ = coming_;
  made_from_ = view;
  coming_from_.reset();
}

std::optional<std::uint64_t> HeldShare::of_mesh(std::uint64_t bytes) const {
  if (sample_.held == 0) return std::nullopt;
  return bytes / sample_.held * sample_.looked_at + bytes % sample_.held * sample_.looked_at / sample_.held;
}

}  // namespace kith::dht
