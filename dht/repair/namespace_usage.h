// SPDX-License-Identifier: MIT
// How many bytes of replica rows this node holds of each namespace that has a quota (docs/data-model.md, "Quota").
//
//   present   what is held now: each change of a key's rows is added
//   coming    of the round of counting under way (digest_trie.h): what it has met so far, and the changes behind it
//
// At the end of a round what was coming is present. So what a disk loses without saying so is forgotten by the next
// round. The first number is known after a whole round.
//
// Namespaces without a quota are not counted: a write then costs nothing, and there are no more names than policies
// (limits::namespaces_heard_max).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dht/model/merge.h"

namespace kith::dht {

class NamespaceUsage {
 public:
  // These are counted from now on, and no others. `is_in_round`: the round under way has met something already, so that
  // what is new among them is known only after the next one.
  void set_names(const std::vector<std::string_view>& names, bool is_in_round);
  bool is_idle() const { return sums_.empty(); }

  // The rows of one key change. `is_behind`: the round under way has met them already.
  void change(std::span<const Row> before, std::span<const Row> after, bool is_behind);
  // The round under way meets the rows of one key.
  void meet(std::span<const Row> rows);
  void end_round();

  // Absent while it is not known.
  std::optional<std::uint64_t> bytes(std::string_view name) const;
  // A whole round is to come before all are known.
  bool has_unknown() const;

 private:
  struct Sum {
    std::int64_t present = 0;
    std::int64_t coming = 0;
    bool is_whole_round = false;  // it was counted when the round under way began
    bool is_known = false;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };

  Sum* find(std::span<const Row> rows);

  std::unordered_map<std::string, Sum, Hash, std::equal_to<>> sums_;
};

}  // namespace kith::dht
