// SPDX-License-Identifier: MIT
#include "tests/sim/restorer.h"

namespace kith::sim {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t records_per_step = 8;

}  // namespace

void Restorer::schedule(dht::Instant start, dht::Instant end) {
  const auto half = static_cast<std::uint64_t>((end - start).count() / 2);
  const auto any = [&] { return dht::Duration(static_cast<std::int64_t>(rng_.below(half))); };
  queue_.at(start + any(), [this] { take_snapshot(); });
  queue_.at(end - any(), [this] {
    const std::size_t device = rng_.below(mesh_.size());
    if (mesh_.at(device).is_up() && !mesh_.is_liar(device)) bring_back(device, mesh_.at(device).boots(), 0);
  });
}

// Of what is durable.
void Restorer::take_snapshot() {
  WatchedStore& store = mesh_.at(rng_.below(mesh_.size())).store();
  for (const dht::KeyHash& key : store.keys_after(std::nullopt)) {
    const dht::KeyRows& held = store.read(key);
    if (!held.is_committed) continue;
    for (const dht::Row& row : held.rows) records_.push_back(row.record.bytes());
  }
}

void Restorer::bring_back(std::size_t device, std::uint64_t boot, std::size_t place) {
  Device& to = mesh_.at(device);
  if (!to.is_up() || to.boots() != boot) return;
  const std::size_t end = std::min(place + records_per_step, records_.size());
  for (; place < end; ++place) asked_.emplace(device, to.restore({.record = records_[place]}));
  if (place == records_.size()) return;
  queue_.after(milliseconds(50), [this, device, boot, place] { bring_back(device, boot, place); });
}

bool Restorer::complete(std::size_t device, const dht::Completion& completion) {
  return asked_.erase({device, completion.ticket}) > 0;
}

void Restorer::on_crash(std::size_t device) {
  std::erase_if(asked_, [&](const auto& each) { return each.first == device; });
}

}  // namespace kith::sim
