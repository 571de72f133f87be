// SPDX-License-Identifier: MIT
// What stands in a key that refers to chunks: any bytes are no manifest, or one that is written back the same, has as
// many hashes as its form asks for, and of which each level is reached in few steps.
#include <algorithm>
#include <cstdlib>

#include "dht/model/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kith;
  const auto form = dht::read_blob_form({data, size});
  const auto manifest = dht::read_manifest({data, size});
  if (form.has_value() != manifest.has_value()) std::abort();
  if (!manifest) return 0;
  if (!std::ranges::equal(dht::encode(*manifest), crypto::ByteSpan(data, size))) std::abort();
  const int depth = form->depth();
  if (depth > 8 || form->count_at(depth) != manifest->hashes.size()) std::abort();
  for (int level = 0; level <= depth; ++level) {
    const std::uint64_t count = form->count_at(level);
    if (count == 0) continue;
    const std::size_t last = form->bytes_at(level, count - 1);
    if (last == 0 || last > form->chunk_bytes) std::abort();
  }
  return 0;
}
