// SPDX-License-Identifier: MIT
#include "tests/figures/pauses.h"

#include <chrono>

namespace kith::figures {
namespace {

using namespace std::chrono_literals;

// One second in twenty, on average.
constexpr dht::Duration pause_most = 2s;
constexpr dht::Duration run_most = 38s;

}  // namespace

Pauses::Pauses(tests::LivenessMesh& mesh, crypto::Rng rng) : mesh_(mesh), rng_(std::move(rng)) {
  for (std::size_t node = 0; node < mesh_.size(); ++node) {
    next_.emplace(mesh_.now().instant + draw_below(run_most), node);
  }
}

void Pauses::run(dht::Duration duration) {
  const dht::Instant end = mesh_.now().instant + duration;
  while (next_.begin()->first <= end) {
    const auto next = next_.extract(next_.begin());
    mesh_.run(next.key() - mesh_.now().instant);
    const dht::Duration pause = draw_below(pause_most);
    mesh_.pause(next.mapped(), pause);
    count_ += 1;
    paused_ += pause;
    next_.emplace(next.key() + pause + draw_below(run_most), next.mapped());
  }
  mesh_.run(end - mesh_.now().instant);
}

double Pauses::share(dht::Duration duration) const {
  const std::chrono::duration<double> all = duration * static_cast<dht::Duration::rep>(mesh_.size());
  return std::chrono::duration<double>(paused_) / all;
}

dht::Duration Pauses::draw_below(dht::Duration bound) {
  return dht::Duration(rng_.below(static_cast<std::uint64_t>(bound.count())));
}

}  // namespace kith::figures
