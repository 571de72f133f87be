// SPDX-License-Identifier: MIT
// What clients did to one key of a namespace of siblings and what they saw there, and what must hold of it: no
// acknowledged value is lost unless a write that may have seen it replaced it, nothing stands beside what had seen it
// or comes back after that, and at rest all daemons show the same.
//
// Who had seen what is told by the clients and never by the versions that the daemons made of it: a write names the
// operation whose version its client handed in. From that follow two sets for each write, as in history.h: `surely`
// (must stay replaced by it) and `maybe` (nothing else may vanish).
//
// Requires: no daemon lost its disk, and what had not ended when its daemon was killed is not made later.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dht/model/time.h"

namespace kith::sim {

using Numbers = std::set<std::uint64_t>;

struct SiblingOperation {
  enum class Kind : std::uint8_t {
    look,
    final_look,  // while no client writes, and all daemons say that they are equal
    put,
    del,
  };
  Kind kind = Kind::look;
  bool is_done = true;       // of a write: it was acknowledged. Otherwise it took effect by its end, or never does
  bool is_degraded = false;  // of a look: fewer than R replicas answered
  std::uint64_t number = 0;  // a put's is its value; no two operations have the same
  std::uint64_t basis = 0;   // of a write: the operation whose version it was made with; 0: it was blind
  std::uint64_t daemon = 0;  // that was asked
  std::uint64_t life = 0;    // of this daemon: another one after each start
  dht::Instant began{};
  dht::Instant ended{};
  Numbers seen{};  // of a look: the values, as the numbers of their puts
};

class SiblingHistory {
 public:
  // Operations of one key, in any order.
  explicit SiblingHistory(std::vector<SiblingOperation> operations);

  // What does not hold, each in a line.
  std::vector<std::string> violations();
  std::size_t siblings_max() const { return siblings_max_; }

 private:
  using Operation = SiblingOperation;
  struct Knowledge {
    Numbers surely;
    Numbers maybe;
  };

  void begin_write(const Operation& write);
  Knowledge known_to_daemon(const Operation& blind) const;
  Knowledge known_after(std::uint64_t number) const;
  void note_gone(const Operation& write, const Numbers& replaced);
  void look(const Operation& look);
  void check_values(const Operation& look);
  void check_replaced(const Operation& look);
  void check_kept(const Operation& look);
  void check_final(const Operation& look);
  bool must_show(const Operation& look, const Operation& put) const;
  Numbers replaced_by(const Numbers& numbers) const;
  void object(const Operation& look, const std::string& what);

  std::vector<Operation> operations_;
  std::map<std::uint64_t, const Operation*> writes_;  // that began so far
  std::map<std::uint64_t, Knowledge> knowledge_;      // what each write replaces; after a look, what it showed
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::map<std::uint64_t, dht::Instant>> gone_;  // by daemon and life
  Numbers may_be_replaced_;                // by a write that began
  dht::Instant blind_until_{};             // the last end of a blind write that began
  Numbers held_by_all_;                    // what had ended when all was at rest, or what that had replaced
  Numbers gone_for_good_;                  // what was not there when all was at rest
  const Operation* last_final_ = nullptr;  // since when nothing was written
  std::size_t siblings_max_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace kith::sim
