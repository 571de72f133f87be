// SPDX-License-Identifier: MIT
#include "dht/repair/namespace_usage.h"

#include <algorithm>

#include "dht/model/policy.h"

namespace kith::dht {
namespace {

std::int64_t bytes_of(std::span<const Row> rows) {
  std::size_t bytes = 0;
  for (const Row& row : rows) bytes += row.is_replica ? row.record.bytes().size() : 0;
  return static_cast<std::int64_t>(bytes);
}

}  // namespace

void NamespaceUsage::set_names(const std::vector<std::string_view>& names, bool is_in_round) {
  std::erase_if(sums_, [&](const auto& each) { return std::ranges::find(names, each.first) == names.end(); });
  for (const std::string_view name : names) sums_.try_emplace(std::string(name), Sum{.is_whole_round = !is_in_round});
}

// All rows of a key name it.
NamespaceUsage::Sum* NamespaceUsage::find(std::span<const Row> rows) {
  if (rows.empty()) return nullptr;
  const auto found = sums_.find(namespace_of(rows.front().record.key()));
  return found == sums_.end() ? nullptr : &found->second;
}

void NamespaceUsage::change(std::span<const Row> before, std::span<const Row> after, bool is_behind) {
  if (is_idle()) return;
  Sum* sum = find(after.empty() ? before : after);
  if (sum == nullptr) return;
  const std::int64_t gained = bytes_of(after) - bytes_of(before);
  sum->present += gained;
  if (is_behind) sum->coming += gained;
}

void NamespaceUsage::meet(std::span<const Row> rows) {
  if (is_idle()) return;
  if (Sum* sum = find(rows)) sum->coming += bytes_of(rows);
}

void NamespaceUsage::end_round() {
  for (auto& [name, sum] : sums_) {
    if (sum.is_whole_round) sum.present = sum.coming;
    sum.is_known |= sum.is_whole_round;
    sum.coming = 0;
    sum.is_whole_round = true;
  }
}

// A row that the disk lost may be taken away twice.
std::optional<std::uint64_t> NamespaceUsage::bytes(std::string_view name) const {
  const auto found = sums_.find(name);
  if (found == sums_.end() || !found->second.is_known) return std::nullopt;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(found->second.present, 0));
}

bool NamespaceUsage::has_unknown() const {
  return std::ranges::any_of(sums_, [](const auto& each) { return !each.second.is_known; });
}

}  // namespace kith::dht
