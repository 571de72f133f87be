// SPDX-License-Identifier: MIT
// What the clients of a run counted, and what their counters may stand at then (docs/testing.md, checker 6).
//
// Every increment surely counts, may count, or does not. It surely counts where it was acknowledged and no reset can
// have seen it, and it does not where a reset surely has. What a counter stands at is the sum of those that surely
// count and of some that may, each once. The amounts of a key are different powers of two, each up or down, so that the
// sum tells which of them are in it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/model/time.h"

namespace kith::sim {

class CounterHistory {
 public:
  enum class Kind : std::uint8_t { increment, reset, deletion };
  struct Count {
    std::string key;
    Kind kind = Kind::increment;
    std::int64_t by = 0;
    std::size_t device = 0;
    dht::Instant began{};
  };

  // What the next increment of the key is to add; nothing once there are as many as a sum can tell apart.
  std::optional<std::int64_t> next_amount(const std::string& key, bool is_down) const;

  // Returns its number.
  std::uint64_t begin(Count count);
  // It is asked for again, as the same operation.
  void begin_again(std::uint64_t number) { counts_.at(number).ended.reset(); }
  void acknowledge(std::uint64_t number, const dht::Receipt& receipt, dht::Instant now);
  // It ended without: it took effect, or will, or never does. Increments begun after a reset ended are not of its past.
  void give_up(std::uint64_t number, dht::Instant now);

  // Nothing is under way, and all devices hold the same: a reset that begins now sees all that was counted.
  void note_settled(dht::Instant now) { settled_.insert(now); }

  // What a device counted with fewer than two copies may be lost with its disk.
  void forgive_wipe(std::size_t device) { wiped_.insert(device); }
  bool was_wiped(std::size_t device) const { return wiped_.contains(device); }

  // What was read at this device, by a read that was asked at that time: its own acknowledged increments are in it.
  // Returns what is wrong, if anything.
  std::optional<std::string> check_read(std::size_t device, dht::Instant asked, const dht::ReadAnswer& answer) const;
  // What is read after healing, with all replicas.
  std::optional<std::string> check_final(const dht::ReadAnswer& answer) const;

  std::vector<std::string> keys() const;
  std::size_t acknowledged() const { return acknowledged_; }
  std::size_t size() const { return counts_.size(); }

 private:
  struct Counted {
    Count count;
    std::optional<dht::Instant> acknowledged;
    std::optional<dht::Instant> ended;
    bool is_weak = true;  // acknowledged with fewer than two copies at replicas
  };

  bool is_binding(const Counted& counted) const;
  bool may_see(const Counted& reset, const Counted& increment) const;
  bool surely_saw(const Counted& reset, const Counted& increment) const;
  std::optional<std::string> check(const dht::ReadAnswer& answer, const std::set<std::uint64_t>& known) const;

  std::map<std::uint64_t, Counted> counts_;
  std::map<std::string, std::vector<std::uint64_t>> of_key_;
  std::set<std::size_t> wiped_;
  std::set<dht::Instant> settled_;
  std::size_t acknowledged_ = 0;
};

// What the answer's counter stands at; 0 where there is none. Absent where something else stands there.
std::optional<std::int64_t> counter_of(const dht::ReadAnswer& answer);

}  // namespace kith::sim
