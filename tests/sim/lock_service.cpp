// SPDX-License-Identifier: MIT
#include "tests/sim/lock_service.h"

#include <fmt/format.h>

#include "dht/replication/policies.h"

namespace kith::sim {

namespace {

using std::chrono::milliseconds;

constexpr const char* lock_key = "strong/lock";
constexpr std::uint64_t lease_ms = 3000;

}  // namespace

LockService::LockService(Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng)
    : queue_(queue), mesh_(mesh), findings_(findings), rng_(std::move(rng)) {}

void LockService::schedule(dht::Instant start, dht::Instant end) {
  end_ = end;
  for (std::size_t client = 1; client <= clients_count; ++client) {
    queue_.at(start + milliseconds(rng_.below(1000)), [this, client] { try_to_take(client); });
  }
}

void LockService::try_later(std::size_t client) {
  queue_.after(milliseconds(100 + rng_.below(1000)), [this, client] { try_to_take(client); });
}

void LockService::try_to_take(std::size_t client) {
  if (queue_.now() >= end_) return;
  dht::PutRequest request;
  request.key = lock_key;
  request.value = {static_cast<std::uint8_t>(client)};
  request.ttl_ms = lease_ms;
  request.condition = dht::Condition::absent;
  ask(client, std::move(request), false);
}

void LockService::ask(std::size_t client, dht::PutRequest request, bool is_release) {
  Device& device = mesh_.at(rng_.below(mesh_.size()));
  const bool is_usable = device.is_up() && !mesh_.is_liar(device.index()) && device.node().policies().has_strong();
  if (!is_usable) return try_later(client);
  const Asked asked{
      .client = client, .boot = device.boots(), .is_release = is_release, .token_before = resource_.token};
  asked_[{device.index(), device.put(std::move(request))}] = asked;
}

bool LockService::complete(std::size_t device, const dht::Completion& completion) {
  const auto found = asked_.extract({device, completion.ticket});
  if (found.empty() || found.mapped().boot != mesh_.at(device).boots()) return false;
  const Asked& asked = found.mapped();
  const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome);
  if (asked.is_release || receipt == nullptr) {  // who does not know whether it has the lock must not use it
    try_later(asked.client);
    return true;
  }
  if (receipt->revision <= asked.token_before) {
    findings_.add({Invariant::strong_is_linearizable},
                  fmt::format("client {} took the lock with token {}, and {} was there before", asked.client,
                              receipt->revision, asked.token_before));
  }
  findings_.look(Invariant::strong_is_linearizable);
  hold(asked.client, *receipt);
  return true;
}

// One in four holds it for longer than its lease.
void LockService::hold(std::size_t client, const dht::Receipt& receipt) {
  counts_.taken += 1;
  const std::uint64_t longest = rng_.chance(0.25) ? 3 * lease_ms : lease_ms / 2;
  const milliseconds held(1 + rng_.below(longest));
  for (int i = 0; i < 3; ++i) {
    queue_.after(milliseconds(rng_.below(static_cast<std::uint64_t>(held.count()))),
                 [this, client, token = receipt.revision] { use(client, token); });
  }
  dht::PutRequest release;
  release.key = lock_key;
  release.kind = dht::EntryKind::tombstone;
  release.condition = dht::Condition::version;
  release.token = receipt.version;
  queue_.after(held, [this, client, release] { ask(client, release, true); });
}

void LockService::use(std::size_t client, std::uint64_t token) {
  if (token < resource_.token) {
    counts_.fenced += 1;
    return;
  }
  if (token == resource_.token && client != resource_.client) {
    findings_.add({Invariant::strong_is_linearizable},
                  fmt::format("clients {} and {} hold the lock with token {}", resource_.client, client, token));
  }
  resource_ = {.token = token, .client = client};
  counts_.writes += 1;
}

void LockService::on_crash(std::size_t device) {
  for (auto at = asked_.lower_bound({device, 0}); at != asked_.end() && at->first.first == device;) {
    try_later(at->second.client);
    at = asked_.erase(at);
  }
}

}  // namespace kith::sim
