// SPDX-License-Identifier: MIT
// What Paxos keeps of one register (Lamport 2001, §2.2; in the form of CASPaxos: Rystsov 2018, §2.2).
#pragma once

#include <compare>
#include <cstdint>

#include "crypto/bytes.h"

namespace kith::dht {

// An attempt of a proposer. Of two, the later one wins; no two attempts ever have the same.
struct Ballot {
  std::uint64_t counter = 0;
  std::uint64_t proposer = 0;  // drawn at random when a node starts

  bool is_none() const { return counter == 0; }
  friend auto operator<=>(const Ballot&, const Ballot&) = default;
};

// What an acceptor has said of a register, and must never forget.
struct Acceptance {
  Ballot promised;      // nothing earlier is accepted any more
  Ballot accepted;      // none: nothing was
  crypto::Bytes value;  // what was accepted

  friend bool operator==(const Acceptance&, const Acceptance&) = default;
};

}  // namespace kith::dht
