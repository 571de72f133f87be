// SPDX-License-Identifier: MIT
// What the clients of a run did and saw, and what must hold of it (docs/testing.md, "Checkers").
//
// Every value is unique: it names the write that made it. Exclusive keys are written by one client, one write after
// the other, so the history alone says what may be read; shared keys are written by all.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/model/requests.h"

namespace kith::sim {

struct Violation {
  std::string what;
};

// One write as its client sees it.
struct Written {
  std::uint64_t number = 0;
  std::string key;
  bool is_delete = false;
  dht::Instant began;
  std::optional<dht::Instant> acknowledged;
  dht::Seq seq = 0;                   // known once acknowledged
  std::vector<std::uint64_t> seen{};  // what its client had read when it wrote, by its token
  bool is_weak = false;               // acknowledged with fewer than two copies at replicas
};

class History {
 public:
  // Returns the number that names the write; its value is value_of(number).
  std::uint64_t begin_write(const std::string& key, bool is_delete, dht::Instant now);

  // The write carries the token of a read that showed these writes: once acknowledged, it has replaced them.
  void note_seen(std::uint64_t number, std::vector<std::uint64_t> seen) { writes_.at(number).seen = std::move(seen); }
  static std::vector<std::uint64_t> numbers_in(const dht::ReadAnswer& answer);
  void acknowledge(std::uint64_t number, const dht::Receipt& receipt, dht::Instant now);

  static crypto::Bytes value_of(std::uint64_t number);

  // Checks one answer: every value is one that was written (checker 7), and for one reader an exclusive key never goes
  // back (checker 2). `reader` changes when a daemon restarts.
  void observe(const std::string& reader, const dht::ReadAnswer& answer, bool is_exclusive,
               std::vector<Violation>& violations);

  // After healing: what is read with all replicas must account for every acknowledged write (checkers 1 and 3).
  void check_final(const dht::ReadAnswer& answer, bool is_exclusive, std::vector<Violation>& violations) const;

  // A disk was lost: what was acknowledged with fewer than two copies may be gone.
  void forgive_weak() { weak_is_forgiven_ = true; }

  std::vector<std::string> keys() const;
  std::size_t writes() const { return writes_.size(); }
  std::size_t acknowledged() const;

 private:
  static std::optional<std::uint64_t> number_of(const crypto::Bytes& value);
  std::uint64_t delete_behind(const std::string& key, dht::Seq seq) const;
  std::uint64_t newest_visible(const dht::ReadAnswer& answer) const;
  void check_replaced(const dht::ReadAnswer& answer, std::vector<Violation>& violations) const;

  std::map<std::uint64_t, Written> writes_;
  std::map<std::string, std::vector<std::uint64_t>> of_key_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> last_seen_;
  std::uint64_t last_number_ = 0;
  bool weak_is_forgiven_ = false;
};

}  // namespace kith::sim
