// SPDX-License-Identifier: MIT
// Puts and prunes of one chunk, in any order and by clocks that are off: what a manifest refers to is never freed
// (docs/data-model.md, "Freeing chunks"). Time goes by in hours; the author and the merge are the devices' own.
#include <algorithm>
#include <functional>
#include <memory>

#include <catch2/catch.hpp>

#include "cli/command.h"
#include "crypto/rng.h"
#include "tests/support/replication.h"

namespace kith::dht {
namespace {

using test::Bench;

constexpr std::uint64_t minute = 60'000;
constexpr std::uint64_t hour = 60 * minute;
constexpr std::uint64_t clock_off_max = 6 * hour;
constexpr int devices = 3;

// What a put and a prune go by.
struct Rules {
  std::uint64_t grace_ms = cli::blob_grace_ms;
  std::uint64_t safe_ms = cli::blob_grace_ms / 3;  // a chunk this young is not sent
  std::uint64_t put_ms = cli::blob_grace_ms / 3;   // from the look to the manifest
};

class Schedule {
 public:
  Schedule(std::uint64_t seed, const Rules& rules) : rules_(rules), rng_(crypto::ByteArray<32>{}) {
    crypto::ByteArray<32> bytes{};
    crypto::store_be64(bytes.data(), seed);
    rng_ = crypto::Rng(bytes);
    for (int i = 0; i < devices; ++i) {
      benches_.push_back(std::make_unique<Bench>(static_cast<std::uint64_t>(i) + 1));
      benches_.back()->author.begin_run(rng_, start_ms);
      clocks_.push_back(static_cast<std::int64_t>(rng_.below(2 * clock_off_max)) -
                        static_cast<std::int64_t>(clock_off_max));
    }
  }

  // True when a manifest stood that referred to a chunk which was not there.
  bool loses_a_chunk() {
    for (int i = 0; i < 6; ++i) rng_.chance(0.6) ? plan_put() : plan_prune();
    std::ranges::stable_sort(steps_, {}, &Step::at_ms);
    for (const Step& step : steps_) {
      step.run();
      if (manifests_ > 0 && !is_listed(rows_, 0)) return true;
    }
    return false;
  }

 private:
  static constexpr std::uint64_t start_ms = 1'790'000'000'000;
  struct Step {
    std::uint64_t at_ms;
    std::function<void()> run;
  };

  std::size_t any_device() { return rng_.below(devices); }
  std::uint64_t wall_ms(std::size_t device, std::uint64_t at_ms) const {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(at_ms) + clocks_[device]);
  }
  void plan(std::uint64_t at_ms, std::function<void()> run) { steps_.push_back({at_ms, std::move(run)}); }

  // Looks, sends what is not safe, writes the manifest, and perhaps deletes that again.
  void plan_put() {
    const std::size_t device = any_device();
    const std::uint64_t look = start_ms + rng_.below(240) * hour + rng_.below(60) * minute;
    const std::uint64_t done = look + rng_.below(rules_.put_ms);
    const std::uint64_t sent = look + rng_.below(done - look + 1);
    auto is_safe = std::make_shared<bool>(false);
    plan(look, [=, this] { *is_safe = newest_ms() + rules_.safe_ms >= wall_ms(device, look) && is_listed(rows_, 0); });
    plan(sent, [=, this] {
      if (!*is_safe) write(device, sent, {.key = {}, .value = crypto::as_bytes("chunk")});
    });
    plan(done, [this] { manifests_ += 1; });
    if (rng_.chance(0.6)) plan(done + rng_.below(60) * hour, [this] { manifests_ -= 1; });
  }

  // Lists the manifests, reads the chunk, and deletes what it read.
  void plan_prune() {
    const std::size_t device = any_device();
    const std::uint64_t begun = start_ms + rng_.below(360) * hour + rng_.below(60) * minute;
    const std::uint64_t read = begun + rng_.below(24 * hour);
    const std::uint64_t deleted = read + rng_.below(24 * hour);
    auto is_free = std::make_shared<bool>(false);
    auto version = std::make_shared<VersionVector>();
    plan(begun, [=, this] { *is_free = manifests_ == 0; });
    plan(read, [=, this] {
      *is_free &= is_listed(rows_, 0) && newest_ms() + rules_.grace_ms <= wall_ms(device, begun);
      *version = joined_context(rows_);
    });
    plan(deleted, [=, this] {
      if (!*is_free) return;
      write(device, deleted, {.key = {}, .kind = EntryKind::tombstone, .value = {}, .token = version.get()});
    });
  }

  void write(std::size_t device, std::uint64_t at_ms, const WriteIntent& intent) {
    Bench& by = *benches_[device];
    WriteIntent named = intent;
    named.key = key_;
    Rows known = by.store.read(hash_key(key_)).rows;
    for (const Row& row : rows_) merge_record(known, row.record);
    const auto authored = by.author.write(named, known, {}, wall_ms(device, at_ms));
    REQUIRE(authored);
    merge_own(known, authored->record, OwnPlacement::author_and_replica);
    by.store.replace(hash_key(key_), std::move(known));
    merge_record(rows_, authored->record);
  }

  std::uint64_t newest_ms() const {
    for (const LiveEntry& live : live_entries(rows_, 0)) {
      if (live.entry.kind == EntryKind::value) return seq_wall_ms(live.entry.seq);
    }
    return 0;
  }

  Rules rules_;
  crypto::Rng rng_;
  std::string key_ = "blob/" + std::string(52, 'a');
  std::vector<std::unique_ptr<Bench>> benches_;
  std::vector<std::int64_t> clocks_;
  std::vector<Step> steps_;
  Rows rows_;  // at the replicas
  int manifests_ = 0;
};

int losses(int schedules, const Rules& rules) {
  int lost = 0;
  for (int seed = 0; seed < schedules; ++seed) {
    lost += Schedule(static_cast<std::uint64_t>(seed), rules).loses_a_chunk() ? 1 : 0;
  }
  return lost;
}

TEST_CASE("what a manifest refers to is not freed, in whatever order puts and prunes happen", "[blob]") {
  CHECK(losses(4000, {}) == 0);
}

TEST_CASE("chunks would be lost if a put trusted those that are about to be freed", "[blob]") {
  CHECK(losses(4000, {.safe_ms = cli::blob_grace_ms}) > 0);
  CHECK(losses(4000, {.put_ms = 3 * cli::blob_grace_ms}) > 0);
}

}  // namespace
}  // namespace kith::dht
