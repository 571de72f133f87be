// SPDX-License-Identifier: MIT
// A coordinator at work for its client, in a namespace with a policy.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "tests/support/desk.h"
#include "tests/support/policy_member.h"

namespace kith::test {

// A desk in a namespace with this policy.
struct PolicyDesk : Desk {
  explicit PolicyDesk(PolicyRequest request) : Desk(request.name + "/x") {
    Turn at = turn();
    coordinator.set_policy(at, request);
    store.commit();
    out = {};
  }

  void put(const std::string& value, const crypto::Bytes& token = {}, std::optional<WallMs> ttl_ms = std::nullopt) {
    PutRequest request;
    request.value.assign(value.begin(), value.end());
    request.token = token;
    request.ttl_ms = ttl_ms;
    ask(request);
  }

  ReadAnswer read() {
    GetRequest request;
    request.key = key;
    Turn at = turn();
    coordinator.get(at, request);
    answer_reads(store.read(hash_key(key)).rows);
    commit();
    REQUIRE(out.completions.size() == 1);
    return std::get<ReadAnswer>(std::exchange(out.completions, {}).front().outcome);
  }
};

}  // namespace kith::test
