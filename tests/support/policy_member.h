// SPDX-License-Identifier: MIT
// Members with their policies, for tests of how these spread.
#pragma once

#include <string>
#include <utility>

#include "dht/replication/policies.h"
#include "tests/support/replication.h"

namespace kith::test {

using namespace dht;

inline PolicyRequest creation(std::string name, Conflict conflict = Conflict::siblings) {
  PolicyRequest request;
  request.name = std::move(name);
  request.must_be_new = true;
  request.conflict = conflict;
  return request;
}
inline PolicyRequest change_of(std::string name) {
  PolicyRequest request;
  request.name = std::move(name);
  return request;
}

// A member and its policies.
struct Member : Bench {
  explicit Member(std::uint8_t number) : Bench(number) {
    crypto::Rng rng{crypto::ByteArray<32>{number}};
    author.begin_run(rng, now.wall_ms);
    neighbours.self_id = node(number);
  }

  Result<Policy> change(const PolicyRequest& request) {
    Turn at = turn();
    return policies.change(at, author, request);
  }

  // What a ping of `other` sets off here; true where something was asked for.
  bool hear(const Member& other) {
    Turn at = turn();
    policies.on_digest(at, other.neighbours.self_id, other.policies.digest());
    for (const Send& send : std::exchange(out.sends, {})) {
      const auto* query = std::get_if<PolicyQuery>(&send.message.body);
      if (query == nullptr) continue;
      Turn later = turn();
      policies.on_reply(later, author, other.policies.answer(*query));
      return true;
    }
    return false;
  }

  Policies policies{signatures};
};

}  // namespace kith::test
