// SPDX-License-Identifier: MIT
#include "dht/replication/read.h"

#include <algorithm>
#include <utility>

#include "dht/model/counter.h"
#include "dht/model/limits.h"
#include "dht/model/policy.h"

namespace kith::dht {

namespace {

constexpr Duration hedge_floor = std::chrono::milliseconds(20);
constexpr Duration hedge_unmeasured = std::chrono::milliseconds(100);

// What is asked at the same time is answered one after the other: asking others for all of it would only add to that.
constexpr std::size_t sends_unnoticed = 32;
constexpr Duration hedge_per_send = std::chrono::microseconds(40);
constexpr Duration hedge_beside_max = std::chrono::milliseconds(100);

// Replicas that are as far as the nearest, within so much, take turns: the key's own order of them decides, and
// the reader. Else the nearest by a hair would be asked about every key, and the others about none.
constexpr Duration equally_far = std::chrono::milliseconds(2);

// How long a read waits for every replica, beyond R, while the members are changing.
constexpr Duration patience = std::chrono::milliseconds(250);

// About the 90th percentile of a round trip, from the smoothed mean.
Duration hedge_delay(Duration round_trip) {
  if (round_trip == Duration::zero()) return hedge_unmeasured;
  return std::max(hedge_floor, 2 * round_trip);
}

Duration hedge_beside(std::size_t sends) {
  const std::size_t noticed = sends > sends_unnoticed ? sends - sends_unnoticed : 0;
  return std::min(hedge_beside_max, hedge_per_send * static_cast<Duration::rep>(noticed));
}

// From a half to one and a half, by reader and node: who serves little more than another is asked little less.
double leaning(const NodeId& reader, const NodeId& node) {
  const std::uint64_t both = crypto::load_be64(reader.bytes.data()) ^ crypto::load_be64(node.bytes.data());
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;  // of 2⁶⁴, the golden ratio (Knuth, TAOCP vol. 3, §6.4)
  return 0.5 + static_cast<double>((both * odd) >> 11U) * 0x1p-53;
}

ReadValue read_value(const LiveEntry& live) {
  return {.bytes = {live.entry.bytes.begin(), live.entry.bytes.end()},
          .kind = live.entry.kind,
          .expires_ms = live.entry.expires_ms,
          .author = node_id_of(live.record->actor().author),
          .seq = live.entry.seq};
}

ReadValue read_value(const Counter& counter) {
  ReadValue value = read_value(counter.newest);
  const std::string digits = std::to_string(counter.value);
  value.bytes.assign(digits.begin(), digits.end());
  value.kind = EntryKind::counter;
  value.expires_ms = counter.expires_ms;
  return value;
}

// Newest first, as they are; but a counter, which is one value, stands before tombstones: they had not seen it. So does
// a chunk of a blob: whoever wrote it again beside a delete refers to it (docs/data-model.md, "Blobs").
std::vector<ReadValue> values_of(std::span<const LiveEntry> live, std::string_view key) {
  std::vector<ReadValue> values;
  const std::optional<Counter> counter = counter_in(live);
  if (counter && counter->is_shown) values.push_back(read_value(*counter));
  for (const LiveEntry& each : live) {
    if (!is_counting(each.entry.kind)) values.push_back(read_value(each));
  }
  if (counter && !counter->is_shown) values.push_back(read_value(*counter));
  if (blob_hash_of(key)) std::ranges::stable_partition(values, holds_value, &ReadValue::kind);
  return values;
}

}  // namespace

ReadAnswer answer_of(const Rows& rows, WallMs wall_ms, const ReadTerms& terms, const DataKey& data_key) {
  ReadAnswer answer;
  answer.key = terms.key;
  const TokenOf of = has_no_counter(rows) ? TokenOf::value : TokenOf::counter;
  answer.version = seal_token(joined_context(rows), terms.hash, data_key, of);
  answer.values = values_of(live_entries(rows, wall_ms), terms.key);
  answer.wanted = static_cast<int>(terms.wanted);
  answer.conflict = terms.conflict;
  return answer;
}

std::optional<Completion> read_alone(Turn& turn, const ReadTerms& terms, const ReplicaSet& set,
                                     const DataKey& data_key) {
  const bool is_alone = set.replicas.size() == 1 && set.replicas.front() == turn.neighbours.self();
  if (!is_alone || !turn.neighbours.is_settled(turn.now.instant)) return std::nullopt;
  const KeyRows& own = turn.store.read(terms.hash);
  // A row that is the author's only is to become the replica's too, which is a repair.
  const bool is_whole = !own.is_damaged && !own.is_unread && std::ranges::all_of(own.rows, &Row::is_replica);
  if (!is_whole) return std::nullopt;
  ReadAnswer answer = answer_of(own.rows, turn.now.wall_ms, terms, data_key);
  answer.replies = 1;
  return Completion{.ticket = terms.ticket,
                    .outcome = std::move(answer),
                    .partial = {},
                    .release = own.is_committed ? Release::at_once : Release::after_commit};
}

void Read::start(Turn& turn, const ReplicaSet& set, const DataKey& data_key) {
  data_key_ = data_key;
  merged_ = std::move(terms_.recent);
  is_settled_ = turn.neighbours.is_settled(turn.now.instant);
  patience_ = std::min(turn.now.instant + patience, terms_.deadline);
  choose_targets(turn, set);
  while (count(State::waiting) + proper_replies() < asked_at_once_) {
    const std::size_t before = count(State::idle);
    ask_next(turn);
    if (count(State::idle) == before) break;
  }
  if (count(State::waiting) + proper_replies() < asked_at_once_) ask_another(turn);
  if (count(State::waiting) == 0) go_on(turn);
}

// This node first, then the others by round trip: the first asked sends the records.
void Read::choose_targets(Turn& turn, const ReplicaSet& set) {
  const NodeId& self = turn.neighbours.self();
  for (const NodeId& node : set.replicas) {
    if (turn.neighbours.is_usable(node)) targets_.push_back({.node = node});
  }
  sort_by_distance(turn);
  const std::size_t away = set.replicas.size() - targets_.size();
  for (const NodeId& node : set.next) {
    if (turn.neighbours.is_usable(node)) wider_.push_back(node);
  }
  std::reverse(wider_.begin(), wider_.end());
  for (std::size_t i = 0; i < away && !wider_.empty(); ++i) {
    targets_.push_back({.node = wider_.back(), .is_stand_in = true});
    wider_.pop_back();
  }
  if (!is_settled_) {
    std::size_t asked = 0;
    for (const NodeId& node : turn.neighbours.leavers()) {
      if (!turn.neighbours.is_usable(node) || ++asked > limits::leavers_asked_max) continue;
      targets_.push_back({.node = node, .is_stand_in = true});
    }
  }
  asked_at_once_ = (is_settled_ && away == 0) ? std::min(terms_.wanted, targets_.size()) : targets_.size();
  // What this node knows as an author is knowledge too, replica or not: a client reads its own writes.
  const bool self_is_target =
      std::any_of(targets_.begin(), targets_.end(), [&](const auto& t) { return t.node == self; });
  if (!self_is_target && !turn.neighbours.is_held_back()) {
    const KeyRows& own = turn.store.read(terms_.hash);
    own_rows_committed_ = own.is_committed;
    for (const Row& row : own.rows) merge_record(merged_, row.record);
  }
}

void Read::sort_by_distance(const Turn& turn) {
  const NodeId& self = turn.neighbours.self();
  auto nearest = Duration::max();
  for (const Target& target : targets_) {
    if (target.node != self) nearest = std::min(nearest, turn.neighbours.round_trip(target.node));
  }
  const auto rank = [&](const Target& target) {
    if (target.node == self) return std::pair(Duration::rep{-1}, 0.0);
    const Duration further = turn.neighbours.round_trip(target.node) - nearest;
    const double load = turn.neighbours.load(turn.now.instant, target.node);
    return std::pair(further / equally_far, load * leaning(self, target.node));
  };
  // Each reader begins at another one: else all would ask the same of a key that many read.
  if (!targets_.empty()) std::ranges::rotate(targets_, targets_.begin() + self.bytes[0] % std::ssize(targets_));
  std::stable_sort(targets_.begin(), targets_.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

void Read::ask_next(Turn& turn) {
  const auto next =
      std::find_if(targets_.begin(), targets_.end(), [](const auto& t) { return t.state == State::idle; });
  if (next == targets_.end()) return;
  hedge_at_ =
      turn.now.instant + hedge_delay(turn.neighbours.round_trip(next->node)) + hedge_beside(turn.out.sends.size());
  if (next->node == turn.neighbours.self()) {
    read_own_rows(turn, *next);
    return;
  }
  const FetchForm form = records_asked_ ? FetchForm::digest : FetchForm::records;
  records_asked_ = true;
  ask(turn, static_cast<std::size_t>(next - targets_.begin()), form);
}

void Read::read_own_rows(Turn& turn, Target& target) {
  if (turn.neighbours.is_held_back()) {
    target.state = State::failed;
    return;
  }
  const KeyRows& own = turn.store.read(terms_.hash);
  own_rows_committed_ = own.is_committed;
  target.state = own.is_damaged || own.is_unread ? State::failed : State::replied;
  disk_failed_ = own.is_unread;
  target.has_records = true;
  target.digest = digest_of(own.rows, data_key_);
  target.status = FetchStatus::absent;
  for (const Row& row : own.rows) {
    if (row.is_replica) target.status = FetchStatus::found;
    merge_record(merged_, row.record);
  }
  const bool is_old = target.is_stand_in && are_spare(own.rows);
  if (is_old || !turn.neighbours.is_caught_up(partition_of(terms_.hash))) target.status = FetchStatus::catching_up;
  if (!own.is_damaged && !own.rows.empty()) records_asked_ = true;
}

void Read::ask(Turn& turn, std::size_t slot, FetchForm form) {
  Target& target = targets_[slot];
  target.state = State::waiting;
  target.was_asked_for_records = form == FetchForm::records;
  const RequestTerms terms{.to = target.node,
                           .owner = {RequestOwner::Kind::read, terms_.ticket, slot},
                           .round_trip = turn.neighbours.round_trip(target.node),
                           .deadline = terms_.deadline};
  Fetch fetch{.form = form, .keys = {terms_.hash}};
  if (terms_.asks_usage) fetch.usage_of = namespace_of(terms_.key);
  target.request =
      turn.requests.ask(turn.now, terms, {.to = target.node, .message = {.body = std::move(fetch)}}, turn.out);
}

void Read::on_answer(Turn& turn, std::size_t slot, const FetchAnswer& answer, const Rows& rows) {
  Target& target = targets_[slot];
  target.status = answer.status;
  target.digest = answer.digest;
  // Who claims to hold something of the key and hands out nothing when asked for it has not answered.
  const bool claims_some = answer.status == FetchStatus::found || answer.digest != RowsDigest{};
  const bool is_empty_claim = claims_some && target.was_asked_for_records && rows.empty();
  if (answer.status == FetchStatus::damaged || is_empty_claim) {
    on_silence(turn, slot);
    return;
  }
  target.state = State::replied;
  target.has_records = !rows.empty() || answer.digest == RowsDigest{};
  for (const Row& row : rows) merge_record(merged_, row.record);
  if (answer.status == FetchStatus::catching_up) ask_another(turn);
  go_on(turn);
}

void Read::go_on(Turn& turn) {
  const bool heard_enough = count(State::waiting) == 0 || proper_replies() >= terms_.wanted;
  if (heard_enough && !digests_agree()) fetch_differing(turn);
  if (count(State::waiting) == 0) widen(turn);
}

void Read::on_silence(Turn& turn, std::size_t slot) {
  targets_[slot].state = State::failed;
  ask_next(turn);
  go_on(turn);
}

// In place of a replica whose word is not enough yet: most likely the next closest node held the key before.
void Read::ask_another(Turn& turn) {
  if (count(State::idle) > 0) return ask_next(turn);
  if (wider_.empty() || deadline_passed_) return;
  ask_wider(turn);
}

// Whoever holds something that is not merged yet is asked for it; one of several with the same digest is enough.
void Read::fetch_differing(Turn& turn) {
  std::vector<RowsDigest> known;
  for (const Target& target : targets_) {
    if (target.has_records && target.state == State::replied) known.push_back(target.digest);
  }
  for (std::size_t slot = 0; slot < targets_.size(); ++slot) {
    const Target& target = targets_[slot];
    if (target.state != State::replied || target.has_records) continue;
    if (std::find(known.begin(), known.end(), target.digest) != known.end()) continue;
    known.push_back(target.digest);
    ask(turn, slot, FetchForm::records);
  }
}

// Nobody who should hold the key has it, and members came or went: the nodes that held it may only have moved back.
void Read::widen(Turn& turn) {
  if (is_settled_ || !merged_.empty() || wider_.empty() || deadline_passed_) return;
  while (!wider_.empty()) ask_wider(turn);
}

void Read::ask_wider(Turn& turn) {
  targets_.push_back({.node = wider_.back(), .is_stand_in = true});
  wider_.pop_back();
  if (targets_.back().node != turn.neighbours.self()) {
    ask(turn, targets_.size() - 1, FetchForm::records);
  } else {
    targets_.back().state = State::replied;  // what is here was merged at the start
    targets_.back().has_records = true;
  }
}

void Read::on_deadline(Turn& turn) {
  if (terms_.deadline <= turn.now.instant) {
    deadline_passed_ = true;
    return;
  }
  if (patience_ <= turn.now.instant) patience_spent_ = true;
  if (hedge_at_ <= turn.now.instant) {
    hedge_at_ = terms_.deadline;
    ask_next(turn);
  }
}

std::optional<Instant> Read::next_deadline() const {
  if (answered_ || deadline_passed_) return std::nullopt;
  return std::min(patience_spent_ ? terms_.deadline : patience_, std::min(hedge_at_, terms_.deadline));
}

std::size_t Read::count(State state) const {
  return static_cast<std::size_t>(
      std::count_if(targets_.begin(), targets_.end(), [&](const auto& target) { return target.state == state; }));
}

std::size_t Read::proper_replies() const {
  return static_cast<std::size_t>(std::count_if(targets_.begin(), targets_.end(), [](const Target& target) {
    if (target.state != State::replied || target.status == FetchStatus::catching_up) return false;
    return !target.is_stand_in || target.status == FetchStatus::found;
  }));
}

// True when every reply is either merged or equal, by digest, to one that is.
bool Read::digests_agree() const {
  return std::all_of(targets_.begin(), targets_.end(), [&](const Target& target) {
    if (target.state != State::replied || target.has_records) return true;
    return std::any_of(targets_.begin(), targets_.end(), [&](const Target& other) {
      return other.state == State::replied && other.has_records && other.digest == target.digest;
    });
  });
}

bool Read::is_complete() const {
  if (count(State::waiting) == 0 && count(State::idle) == 0) return true;
  if (!digests_agree() || proper_replies() < terms_.wanted) return false;
  return is_settled_ || (patience_spent_ && !merged_.empty());
}

std::optional<Completion> Read::take_completion(Turn& turn) {
  if (answered_ || !(is_complete() || deadline_passed_)) return std::nullopt;
  answered_ = true;
  for (const Target& target : targets_) {
    if (target.state == State::waiting) turn.requests.cancel(target.request);
  }
  Completion completion = answer(turn);
  repair(turn);
  return completion;
}

Completion Read::answer(Turn& turn) {
  Completion completion{.ticket = terms_.ticket, .outcome = Error{}, .partial = {}};
  completion.release = own_rows_committed_ ? Release::at_once : Release::after_commit;
  ReadAnswer answer = answer_of(merged_, turn.now.wall_ms, terms_, data_key_);
  answer.replies = static_cast<int>(proper_replies());
  answer.degraded = proper_replies() < terms_.wanted || turn.neighbours.is_joining();
  answer.took = turn.now.instant - terms_.began;
  if (is_clock_behind_ && merged_.empty() && proper_replies() < terms_.wanted) {
    completion.outcome = Error{ErrorCode::clock_skew, "what a replica holds of " + terms_.key +
                                                          " is ahead of this device's clock, and one of the two is "
                                                          "wrong: `kith doctor` compares this one with others"};
    return completion;
  }
  if (count(State::replied) == 0 && merged_.empty()) {
    completion.outcome =
        disk_failed_
            ? unread_error(terms_.key)
            : Error{ErrorCode::timeout, "none of the replicas answered in time; try again, or see `kith members`"};
    return completion;
  }
  if (answer.degraded && terms_.is_strict) {
    completion.outcome =
        Error{ErrorCode::unavailable, std::to_string(answer.replies) + " of " + std::to_string(answer.wanted) +
                                          " replicas answered; without --strict the answer is given"};
    return completion;
  }
  completion.outcome = std::move(answer);
  return completion;
}

// Read repair: a replica whose rows differ from the merge is sent all of it, at most once per read.
void Read::repair(Turn& turn) {
  if (is_forgotten_) return;
  const RowsDigest merged_digest = digest_of(merged_, data_key_);
  for (const Target& target : targets_) {
    const bool is_self = target.node == turn.neighbours.self();
    const bool was_damaged = target.state == State::failed && target.status == FetchStatus::damaged;
    if (target.is_stand_in || turn.neighbours.is_held_back_from(target.node)) continue;
    if (is_self && target.state != State::idle) repair_own_rows(turn, merged_);
    if (is_self || (target.state != State::replied && !was_damaged)) continue;
    if (target.status == FetchStatus::catching_up) continue;  // it fetches all of it
    if (target.state == State::replied && target.digest == merged_digest) continue;
    if (merged_.empty()) continue;
    repairs_ += 1;
    repair_replica(turn, target.node);
  }
}

// In as many messages as it takes: all rows of a key can be more than one holds.
void Read::repair_replica(Turn& turn, const NodeId& node) {
  std::size_t room = 0;
  for (const Row& row : merged_) {
    const crypto::Bytes& record = row.record.bytes();
    if (record.size() > room) {
      Store store{.purpose = StorePurpose::repair, .records = {}};
      turn.out.sends.push_back({.to = node, .message = {.body = std::move(store)}, .release = Release::after_commit});
      room = limits::record_bytes_max;
    }
    std::get<Store>(turn.out.sends.back().message.body).records.push_back(record);
    room -= record.size();
  }
}

void Read::repair_own_rows(Turn& turn, const Rows& merged) {
  const KeyRows& own = turn.store.read(terms_.hash);
  if (own.is_unread) return;
  Rows rows = own.rows;
  bool changed = own.is_damaged && !merged.empty();
  for (const Row& row : merged) changed |= merge_record(rows, row.record).verdict == MergeVerdict::stored;
  if (!changed) return;
  repairs_ += 1;
  has_replaced_damage_ = own.is_damaged;
  turn.store.replace(terms_.hash, std::move(rows));
}

}  // namespace kith::dht
