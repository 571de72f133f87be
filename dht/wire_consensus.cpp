// SPDX-License-Identifier: MIT
#include "dht/wire_consensus.h"

#include "dht/model/limits.h"
#include "dht/wire_numbers.h"

namespace kith::dht::wire {
namespace {

constexpr std::size_t ballot_bytes = 16;
constexpr std::size_t version_bytes = 32 + 2 * ballot_bytes;

}  // namespace

crypto::Bytes ballot_to_bytes(const Ballot& ballot) {
  crypto::Bytes out;
  append(out, ballot.counter, 8);
  append(out, ballot.proposer, 8);
  return out;
}

bool read_ballot(crypto::ByteSpan bytes, Ballot& out) {
  if (bytes.size() != ballot_bytes) return false;
  out = {.counter = crypto::load_be64(bytes.data()), .proposer = crypto::load_be64(bytes.data() + 8)};
  return true;
}

crypto::Bytes register_versions_to_bytes(const std::vector<RegisterVersion>& versions) {
  crypto::Bytes out;
  for (const RegisterVersion& version : versions) {
    out.insert(out.end(), version.key.bytes.begin(), version.key.bytes.end());
    for (const Ballot& ballot : {version.promised, version.accepted}) {
      const crypto::Bytes bytes = ballot_to_bytes(ballot);
      out.insert(out.end(), bytes.begin(), bytes.end());
    }
  }
  return out;
}

bool read_register_versions(crypto::ByteSpan bytes, std::vector<RegisterVersion>& out) {
  if (bytes.size() % version_bytes != 0 || bytes.size() / version_bytes > limits::registers_page_max) return false;
  for (; !bytes.empty(); bytes = bytes.subspan(version_bytes)) {
    RegisterVersion& version = out.emplace_back();
    std::copy_n(bytes.begin(), version.key.bytes.size(), version.key.bytes.begin());
    const crypto::ByteSpan ballots = bytes.subspan(version.key.bytes.size());
    read_ballot(ballots.first(ballot_bytes), version.promised);
    read_ballot(ballots.subspan(ballot_bytes, ballot_bytes), version.accepted);
  }
  return true;
}

}  // namespace kith::dht::wire
