// SPDX-License-Identifier: MIT
#include "tests/sim/policy_history.h"

#include <fmt/format.h>

namespace kith::sim {

dht::PolicyRequest PolicyHistory::begin(std::size_t device, const dht::Policy* before) {
  const std::uint64_t number = changes_.size() + 1;
  changes_.emplace(number, Change{.device = device, .before = before == nullptr ? 0 : before->ttl_ms});
  dht::PolicyRequest request;
  request.name = name;
  request.must_be_new = before == nullptr;
  request.ttl_ms = number;
  return request;
}

bool PolicyHistory::comes_after(std::uint64_t change, std::uint64_t earlier) const {
  for (auto at = changes_.find(change); at != changes_.end(); at = changes_.find(at->second.before)) {
    if (at->second.before == earlier) return true;
  }
  return false;
}

std::optional<std::string> PolicyHistory::check_final(const dht::Policy* policy) const {
  const std::uint64_t shown = policy == nullptr ? 0 : policy->ttl_ms;
  if (shown != 0 && !changes_.contains(shown)) return "a policy is there that nobody made";
  for (const auto& [number, change] : changes_) {
    if (!must_stay(change) || number == shown) continue;
    if (shown == 0) return "a policy was acknowledged and is lost";
    if (comes_after(number, shown)) {
      return fmt::format("the policy is that of change {}, and change {} was made after it", shown, number);
    }
  }
  return std::nullopt;
}

}  // namespace kith::sim
