// SPDX-License-Identifier: MIT
#include "tests/sim/history.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "dht/model/manifest.h"

namespace kith::sim {

namespace {

// Some values take the road of large messages.
constexpr std::uint64_t large_every = 9;
constexpr std::size_t large_bytes = 2500;
constexpr std::uint64_t manifest_every = 7;

// Of a file of one chunk, whose hash begins with the number.
crypto::Bytes manifest_of(std::uint64_t number) {
  crypto::Hash256 hash{};
  crypto::store_be64(hash.data(), number);
  return dht::encode(dht::Manifest{.form = {.bytes = 1, .chunk_bytes = 1024}, .hashes = {hash}});
}

Writes common(const Writes& a, const Writes& b) {
  Writes both;
  std::ranges::set_intersection(a, b, std::inserter(both, both.end()));
  return both;
}

void join(Writes& into, const Writes& from) { into.insert(from.begin(), from.end()); }

}  // namespace

// ---- writing

std::uint64_t History::begin_write(Intent intent) {
  Written written;
  written.number = ++last_number_;
  std::vector<std::uint64_t>& earlier = of_key_[intent.key];
  for (const std::uint64_t number : reading_) {
    if (writes_.at(number).intent.key == intent.key) writes_.at(number).maybe.insert(written.number);
  }
  if (intent.knowledge) {
    written.surely = intent.knowledge->surely;
    written.maybe = intent.knowledge->maybe;
  } else {
    // A blind write replaces all that its daemon knows: its own writes, as long as it has its disk, and perhaps any.
    for (const std::uint64_t number : earlier) {
      const Written& other = writes_.at(number);
      const bool is_known = other.intent.device == intent.device && !reading_.contains(number);
      if (!is_known || wiped_.contains(intent.device)) continue;
      written.surely.insert(number);
      join(written.surely, other.surely);
    }
    written.maybe = {earlier.begin(), earlier.end()};
  }
  earlier.push_back(written.number);
  if (intent.reads_first) reading_.insert(written.number);
  written.intent = std::move(intent);
  return writes_.emplace(written.number, std::move(written)).first->first;
}

// A version that did not change stands for what it stood for: the new value lives beside one its client never saw.
Knowledge History::acknowledge(std::uint64_t number, const dht::Receipt& receipt, const std::string& reader,
                               dht::Instant now) {
  Written& written = writes_.at(number);
  reading_.erase(number);
  written.is_acknowledged = true;
  const int on_disk = receipt.copies - receipt.in_memory;
  written.is_weak = receipt.copies < 2;
  written.seqs.insert(receipt.seq);
  if (receipt.in_memory > 0 && on_disk == 0) written.unwritten_at = now;
  for (const std::uint64_t replaced : written.surely) {
    if (!written.unwritten_at) gone_[{reader, written.intent.key}].try_emplace(replaced, now);
  }
  const std::optional<Knowledge>& before = written.intent.knowledge;
  if (before && before->version == receipt.version) return *before;
  Knowledge after{.version = receipt.version, .surely = written.surely, .maybe = {number}};
  after.surely.insert(number);
  if (before) join(after.maybe, before->maybe);
  return after;
}

dht::EntryKind History::entry_kind_of(std::uint64_t number) {
  return number % manifest_every == 0 ? dht::EntryKind::manifest : dht::EntryKind::value;
}

crypto::Bytes History::value_of(std::uint64_t number) {
  if (entry_kind_of(number) == dht::EntryKind::manifest) return manifest_of(number);
  std::string text = fmt::format("value {}", number);
  if (number % large_every == 0) text.resize(large_bytes, ' ');
  return {text.begin(), text.end()};
}

std::optional<std::uint64_t> History::number_of(const dht::ReadValue& value) {
  const auto is_of = [&](std::uint64_t number) {
    return value.kind == entry_kind_of(number) && value.bytes == value_of(number);
  };
  if (value.kind == dht::EntryKind::manifest) {
    const auto manifest = dht::read_manifest(value.bytes);
    const std::uint64_t number =
        manifest && !manifest->hashes.empty() ? crypto::load_be64(manifest->hashes.front().data()) : 0;
    return is_of(number) ? std::optional(number) : std::nullopt;
  }
  const std::string text(value.bytes.begin(), value.bytes.end());
  if (!text.starts_with("value ") || text.size() < 7 || text[6] < '0' || text[6] > '9') return std::nullopt;
  const std::uint64_t number = std::stoull(text.substr(6, 18));
  return is_of(number) ? std::optional(number) : std::nullopt;
}

std::vector<std::string> History::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, numbers] : of_key_) keys.push_back(key);
  return keys;
}

KeyKind History::kind_of(const std::string& key) const { return writes_.at(of_key_.at(key).front()).intent.kind; }

std::size_t History::acknowledged() const {
  return static_cast<std::size_t>(
      std::count_if(writes_.begin(), writes_.end(), [](const auto& entry) { return entry.second.is_acknowledged; }));
}

// ---- reading

// A tombstone carries no number: it is the delete with its seq. A write that was made again under a new run and never
// acknowledged has a seq that nobody told; then it is taken for the youngest delete that it may be.
// Two authors may have given one seq.
std::uint64_t History::delete_behind(const std::string& key, dht::Seq seq,
                                     const std::optional<dht::NodeId>& author) const {
  std::uint64_t unacknowledged = 0;
  for (const std::uint64_t number : of_key_.at(key)) {
    const Written& written = writes_.at(number);
    if (!written.intent.is_delete || (author && written.intent.author != *author)) continue;
    if (written.seqs.contains(seq)) return number;
    if (!written.is_acknowledged) unacknowledged = number;
  }
  return unacknowledged;
}

Writes History::visible_in(const dht::ReadAnswer& answer) const {
  Writes visible;
  if (!of_key_.contains(answer.key)) return visible;
  for (const dht::ReadValue& value : answer.values) {
    const bool is_value = dht::holds_value(value.kind);
    const std::uint64_t number =
        is_value ? number_of(value).value_or(0) : delete_behind(answer.key, value.seq, value.author);
    if (writes_.contains(number)) visible.insert(number);
  }
  add_reaped(answer.key, visible);
  return visible;
}

// A delete that was reaped is not shown any more, and is still the last word where nothing came after it. What replaced
// it for certain may itself have been replaced by what is shown, or by a later delete, whose author never heard of it.
void History::add_reaped(const std::string& key, Writes& visible) const {
  const auto reaped = reaped_.find(dht::hash_key(key));
  if (reaped == reaped_.end()) return;
  Writes deletes;
  for (const dht::Seq seq : reaped->second) {
    if (const std::uint64_t number = delete_behind(key, seq, std::nullopt); number != 0) deletes.insert(number);
  }
  Writes last = visible;
  join(last, deletes);
  Writes all = last;
  for (const std::uint64_t word : last) {
    for (const std::uint64_t number : writes_.at(word).maybe) {
      if (writes_.at(number).is_acknowledged) all.insert(number);
    }
  }
  for (const std::uint64_t replaced : replaced_by(all)) deletes.erase(replaced);
  join(visible, deletes);
}

Writes History::replaced_by(const Writes& numbers) const {
  Writes replaced;
  for (const std::uint64_t number : numbers) join(replaced, writes_.at(number).surely);
  return replaced;
}

Knowledge History::observe(const Seen& seen, Findings& findings) {
  check_values(seen, findings);
  const Writes visible = visible_in(seen.answer);
  if (seen.kind == KeyKind::own) check_order(seen, visible, findings);
  check_replaced(seen, visible, findings);
  Knowledge knowledge{.version = seen.answer.version, .surely = replaced_by(visible), .maybe = visible};
  join(knowledge.surely, visible);
  return knowledge;
}

// Checker 7: every value is one that was written there.
void History::check_values(const Seen& seen, Findings& findings) const {
  for (const dht::ReadValue& value : seen.answer.values) {
    if (!dht::holds_value(value.kind)) continue;
    const auto number = number_of(value);
    findings.look(Invariant::nothing_is_forged);
    const auto written = number ? writes_.find(*number) : writes_.end();
    if (written == writes_.end() || written->second.intent.key != seen.answer.key) {
      findings.add({Invariant::nothing_is_forged},
                   fmt::format("{} was served a value that nobody wrote there", seen.answer.key));
    }
    if (!refused_.empty()) findings.look(Invariant::refused_never_lands);
    if (number && refused_.contains(*number)) {
      findings.add({Invariant::refused_never_lands},
                   fmt::format("{} was served write {}, which was refused for its quota", seen.answer.key, *number));
    }
  }
}

// Checker 2: for one reader, an own key never goes back behind what it was told before it asked. Of two reads that
// overlap either may be answered first.
void History::check_order(const Seen& seen, const Writes& visible, Findings& findings) {
  std::map<dht::Instant, std::uint64_t>& told = newest_told_[{seen.reader, seen.answer.key}];
  const std::uint64_t newest = visible.empty() ? 0 : *visible.rbegin();
  const auto later = told.lower_bound(seen.asked);
  const std::uint64_t last = later == told.begin() ? 0 : std::prev(later)->second;
  findings.look(Invariant::replaced_stays_gone);
  if (newest < last && !seen.answer.degraded) {
    findings.add({Invariant::replaced_stays_gone},
                 fmt::format("{} went back for {}: from write {} to {}", seen.answer.key, seen.reader, last, newest));
  }
  const std::uint64_t so_far = told.empty() ? 0 : told.rbegin()->second;
  if (newest > so_far) told[seen.answered] = newest;
}

// Checkers 2 and 3: no answer holds a write beside the one that replaced it, and what a reader has known to be
// replaced does not come back to it.
void History::check_replaced(const Seen& seen, const Writes& visible, Findings& findings) {
  const Writes replaced = replaced_by(visible);
  findings.look(Invariant::replaced_stays_gone);
  findings.look(Invariant::siblings_are_concurrent);
  if (const Writes beside = common(visible, replaced); !beside.empty()) {
    findings.add({Invariant::siblings_are_concurrent, Invariant::versions_replace},
                 fmt::format("{} shows {} beside what replaced it: {}", seen.answer.key, fmt::join(beside, " "),
                             fmt::join(visible, " ")));
  }
  auto& gone = gone_[{seen.reader, seen.answer.key}];
  for (const std::uint64_t number : visible) {
    const auto known = gone.find(number);
    if (known == gone.end() || known->second > seen.asked || seen.answer.degraded) continue;
    findings.add({Invariant::replaced_stays_gone},
                 fmt::format("write {} of {} came back to {}", number, seen.answer.key, seen.reader));
  }
  for (const std::uint64_t number : replaced) gone.try_emplace(number, seen.answered);
}

// ---- after healing

// A promise that still binds the mesh.
bool History::is_binding(const Written& written) const {
  if (forgotten_.contains(written.number)) return false;
  return written.is_acknowledged && !(written.is_weak && weak_is_forgiven_);
}

void History::forgive_crash(dht::Instant since) {
  for (const auto& [number, written] : writes_) {
    if (written.unwritten_at && *written.unwritten_at >= since) forgotten_.insert(number);
  }
}

bool History::may_have_been_replaced(const Written& written) const {
  return std::ranges::any_of(of_key_.at(written.intent.key),
                             [&](std::uint64_t other) { return writes_.at(other).maybe.contains(written.number); });
}

void History::check_final(const Seen& seen, Findings& findings) const {
  const std::string& key = seen.answer.key;
  const auto of_key = of_key_.find(key);
  if (of_key == of_key_.end()) return;
  const Writes visible = visible_in(seen.answer);
  for (const std::uint64_t number : of_key->second) {
    const Written& written = writes_.at(number);
    if (!is_binding(written)) continue;
    findings.look(Invariant::acknowledged_stays);
    findings.look(Invariant::replaced_stays_gone);
    findings.look(Invariant::siblings_are_concurrent);
    const bool is_own = written.intent.kind == KeyKind::own;
    const bool is_hidden = is_own ? visible.empty() || *visible.rbegin() < number : !visible.contains(number);
    if (is_hidden && (is_own || !may_have_been_replaced(written))) {
      findings.add({Invariant::acknowledged_stays},
                   fmt::format("{} {} of {} was acknowledged and is lost; visible: {}",
                               written.intent.is_delete ? "delete" : "write", number, key, fmt::join(visible, " ")));
    }
    if (const Writes back = common(visible, written.surely); !back.empty()) {
      findings.add({Invariant::replaced_stays_gone, Invariant::siblings_are_concurrent},
                   fmt::format("{} of {} came back after write {} had replaced it", fmt::join(back, " "), key, number));
    }
  }
}

}  // namespace kith::sim
