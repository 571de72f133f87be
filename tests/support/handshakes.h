// SPDX-License-Identifier: MIT
// Two nodes that shake hands, for tests.
#pragma once

#include <utility>

#include "crypto/datagram_cipher.h"
#include "crypto/handshake.h"

namespace kith::tests {

// A secret that is 32 times this byte.
crypto::Secret<32> secret(std::uint8_t byte);

struct TestMesh {
  crypto::NetId net_id{1, 2, 3};
  crypto::Secret<32> secret = tests::secret(42);
};

// The node whose seed is 32 times this byte.
crypto::LocalParty party(std::uint8_t byte, const TestMesh& mesh = {});

crypto::InitiatorHandshake start_call(const crypto::LocalParty& caller, const crypto::LocalParty& called,
                                      crypto::Transport transport = crypto::Transport::datagram);

// Requires: that `called` accepts it.
crypto::ResponderHandshake::Answer answer_call(const crypto::InitiatorHandshake& call,
                                               const crypto::LocalParty& called);

// A session: the caller's end and the called one's.
std::pair<crypto::DatagramCipher, crypto::DatagramCipher> connect(const crypto::LocalParty& caller,
                                                                  const crypto::LocalParty& called);

}  // namespace kith::tests
