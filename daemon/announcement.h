// SPDX-License-Identifier: MIT
// What a node says on its links so that members of its mesh find it (docs/wire.md, "Announcement").
//
//   magic 4 · nonce 8 · tag 8 · signing key 32 · exchange key 32 · port u16
//
// The tag is a keyed hash of the rest under a key that only members have. It tells them apart from others; it links no
// two announcements for outsiders; it proves nothing else, so what is announced is a hint that a handshake must
// confirm.
#pragma once

#include <optional>

#include "crypto/bytes.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"
#include "dht/model/mesh.h"

namespace kith::daemon {

struct Announcement {
  crypto::PublicKey signing_key{};
  crypto::PublicKey exchange_key{};
  std::uint16_t port = 0;

  friend bool operator==(const Announcement&, const Announcement&) = default;
};

using AnnouncementNonce = crypto::ByteArray<8>;
inline constexpr std::size_t announcement_bytes = 4 + 8 + 8 + 32 + 32 + 2;

// The members' key, derived from the mesh's name and secret.
crypto::Hash256 announcement_key(const dht::MeshKeys& mesh);

crypto::Bytes write_announcement(const Announcement& announcement, const AnnouncementNonce& nonce,
                                 const crypto::Hash256& key);

// Absent where the bytes are no announcement of this mesh.
std::optional<Announcement> read_announcement(crypto::ByteSpan bytes, const crypto::Hash256& key);

}  // namespace kith::daemon
