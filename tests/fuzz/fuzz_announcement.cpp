// SPDX-License-Identifier: MIT
// LAN announcements: whatever arrives, what is read is exactly what a member wrote.
#include <cstdlib>

#include "daemon/announcement.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kith::daemon;
  const kith::crypto::Hash256 key{};
  const kith::crypto::ByteSpan bytes(data, size);
  const auto read = read_announcement(bytes, key);
  if (!read) return 0;
  AnnouncementNonce nonce{};
  std::copy_n(data + 4, nonce.size(), nonce.begin());
  const auto again = write_announcement(*read, nonce, key);
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
  return 0;
}
