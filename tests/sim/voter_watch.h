// SPDX-License-Identifier: MIT
// The checker of voters (docs/testing.md, "Invariants"): what they promise and accept, and which configurations they go
// by, looked at on their disks and, at message level, in what they are asked and answer.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "tests/sim/disk_watch.h"
#include "tests/sim/findings.h"
#include "tests/sim/mesh.h"

namespace kith::sim {

class VoterWatch final : public DiskWatch {
 public:
  // Both outlive it.
  VoterWatch(Mesh& mesh, Findings& findings) : mesh_(mesh), findings_(findings) {}

  // A message arrives, and is not heard yet.
  void on_arrival(std::size_t from, std::size_t to, const dht::Message& message);
  // A message leaves.
  void on_sent(std::size_t from, std::size_t to, const dht::Message& message);

  void on_acceptance(std::size_t device, const dht::KeyHash& key, const dht::Acceptance& before,
                     const dht::Acceptance& after) override;
  void on_shard(std::size_t device, dht::Shard shard, crypto::ByteSpan bytes) override;
  void on_crashed(std::size_t device, dht::MemoryStore& store) override;
  void on_replaced(std::size_t device) override;

 private:
  // A register, or, without a key, the one that decides a shard's next configuration.
  struct Register {
    dht::Shard shard = 0;
    std::uint64_t epoch = 0;  // of the configuration whose successor is decided
    std::optional<dht::KeyHash> key;

    friend auto operator<=>(const Register&, const Register&) = default;
  };
  // One request as it reached a voter first.
  struct Asked {
    Register what;
    dht::Ballot ballot;
    std::uint64_t voter = 0;  // the tag that was asked
    std::uint64_t epoch = 0;  // that the request goes by
    std::uint64_t known = 0;  // that the voter went by then
  };
  using Request = std::tuple<std::size_t, std::size_t, std::uint64_t, std::uint64_t>;  // voter, proposer, its boot, id
  using Said = std::tuple<std::size_t, std::uint64_t, Register>;                       // voter, its tag, of what

  Request request_of(std::size_t voter, std::size_t proposer, std::uint64_t id) {
    return {voter, proposer, mesh_.at(proposer).boots(), id};
  }
  template <typename Body>
  void note_request(std::size_t from, std::size_t to, std::uint64_t id, const Body& body);
  void check_granted(std::size_t voter, const Asked& asked);
  void check_value(const Register& what, const dht::Ballot& ballot, crypto::ByteSpan value);
  void learn(std::size_t device, const dht::Configuration& configuration);
  bool was_decided(const dht::Configuration& before, const dht::Configuration& after) const;
  std::optional<std::uint64_t> tag_of(std::size_t device);

  Mesh& mesh_;
  Findings& findings_;
  std::map<Request, Asked> asked_;
  std::map<Said, dht::Ballot> promised_;  // as others were told
  std::map<std::pair<Register, dht::Ballot>, crypto::Bytes> values_;
  std::map<std::pair<dht::Shard, std::uint64_t>, dht::Configuration> configurations_;
  std::map<std::pair<std::size_t, dht::Shard>, std::pair<dht::Configuration, dht::Acceptance>> kept_;
  // Who has accepted which next configuration with which ballot.
  std::map<std::pair<Register, dht::Ballot>, std::set<dht::Voter>> accepted_by_;
};

// Whoever decides by the one always meets somebody who decided by the other.
bool do_quorums_meet(const dht::Configuration& a, const dht::Configuration& b);

}  // namespace kith::sim
