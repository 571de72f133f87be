// SPDX-License-Identifier: MIT
// The DATA packets of one session: each carries the counter that is its nonce, so any may be lost or overtaken.
#pragma once

#include "crypto/cipher_state.h"
#include "crypto/handshake.h"
#include "crypto/replay_window.h"

namespace kith::crypto {

// Why a DATA packet was dropped, in the order of the checks.
enum class DataVerdict : std::uint8_t { accepted, malformed, too_old, forged, replayed };

struct OpenedData {
  Bytes plaintext;
  // No later one has come before: the source address is where the peer is now.
  bool is_newest = false;
};

class DatagramCipher {
 public:
  // `local_index` is the one that this side chose in the handshake.
  DatagramCipher(const Established& session, std::uint32_t local_index);

  // The next DATA packet. Empty once the counters are used up. Requires: at most data_plaintext_bytes_max bytes.
  std::optional<Bytes> seal(ByteSpan plaintext);

  // `opened` is written only when the packet is accepted.
  DataVerdict open(ByteSpan packet, OpenedData& opened);

 private:
  CipherState send_;
  CipherState receive_;
  ReplayWindow window_;
  std::uint32_t local_index_;
  std::uint32_t peer_index_;
};

}  // namespace kith::crypto
