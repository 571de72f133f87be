// SPDX-License-Identifier: MIT
#include "dht/repair/repair.h"

#include <algorithm>

#include "dht/model/deadlines.h"
#include "dht/model/limits.h"
#include "dht/repair/weight.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

// Work of one step, a millisecond or so, and the pause after it while something is to be counted.
constexpr std::size_t keys_per_step = 128;
constexpr std::size_t keys_per_idle_step = 16;
constexpr std::size_t partitions_per_step = 256;
constexpr Duration step_pause = 2ms;

// All is counted again, to find what the disk has lost. Of a million records it takes a day, so that it costs nothing.
constexpr Duration round_interval = 10min;

// At most so many peers are greeted in a step, however many there are.
constexpr std::size_t greetings_per_step = 2;

// A write on its way is no difference: two rounds, this far apart, must say the same. The peer with the greater id
// leads only where the other one does not.
constexpr int rounds_least = 2;
constexpr Duration differs_least = 1500ms;
constexpr Duration differs_long = 20s;

// Who is behind, and brought nothing by others, waits for no second round, and leads before a peer would. Of two such
// it is the smaller id again.
constexpr Duration differs_behind = 1s;

constexpr Duration rest_least = 2s;
constexpr Duration rest_most = 5min;

// What two whose views of the members differ take for shared differs for as long, and no descent mends that.
constexpr Duration explained_holds = 1h;
constexpr Duration answer_deadline = 10s;

std::vector<Record> parsed(const std::vector<crypto::Bytes>& all) {
  std::vector<Record> records;
  for (const crypto::Bytes& bytes : all) {
    if (std::optional<Record> record = Record::parse(bytes)) records.push_back(std::move(*record));
  }
  return records;
}

}  // namespace

Repair::Repair(RecordStore& disk, const DataKey& data_key, Settings settings, crypto::Rng rng)
    : settings_(settings),
      trie_(data_key),
      store_(disk, trie_),
      catch_up_(settings.replicas),
      pace_(settings.bytes_per_second),
      rng_(std::move(rng)) {}

void Repair::start(Instant now) {
  step_at_ = now;
  greet_at_ = with_jitter(now, greeting_interval() / 2);
}

// ± 20 %, so that a mesh that starts as one does not compare as one.
Instant Repair::with_jitter(Instant now, Duration wait) {
  return now + wait * static_cast<Duration::rep>(800 + rng_.below(401)) / 1000;
}

// ---- root digests

TrieReader Repair::reader(const NodeId& peer, std::uint32_t salt) {
  return TrieReader({.trie = trie_, .store = store_, .shared = cover_.shared_with(peer)}, salt);
}

void Repair::settle_cover(Neighbours& neighbours) {
  for (const Partition partition : trie_.take_arrivals()) cover_.add(neighbours, partition);
}

std::uint64_t Repair::root(Neighbours& neighbours, const NodeId& peer) {
  if (!is_ready(neighbours) || neighbours.is_held_back_from(peer)) return 0;
  settle_cover(neighbours);
  Pair& pair = pairs_[peer];
  if (pair.of_trie == trie_.version() && pair.of_cover == cover_.version()) return pair.root;
  pair.of_trie = trie_.version();
  pair.of_cover = cover_.version();
  pair.root = trie_.hasher().root(reader(peer, 0).tally({}), neighbours.self(), peer);
  return pair.root;
}

void Repair::on_root(const Turn& turn, const NodeId& peer, std::uint64_t theirs) {
  const std::uint64_t ours = root(turn.neighbours, peer);
  Pair& pair = pairs_[peer];
  pair.was_heard = true;
  pair.greet_at = with_jitter(turn.now.instant, greeting_interval());
  pair.theirs = theirs;
  if (ours == 0 || theirs == 0) return;
  counters_.comparisons += 1;
  if (ours == theirs) {
    catch_up_.on_compared(peer, turn.now.instant);
    pair.differs_since.reset();
    pair.rounds = 0;
    pair.equal_in_view = turn.neighbours.view_version();
    pair.rest = rest_least;
    return;
  }
  counters_.comparisons_differing += 1;
  if (!pair.differs_since) pair.differs_since = turn.now.instant;
  pair.rounds += 1;
  if (pair.rounds >= rounds_least) pair.equal_in_view.reset();
}

void Repair::greet_soon(Instant now) {
  for (auto& [peer, pair] : pairs_) pair.greet_at = std::min(pair.greet_at, with_jitter(now, idle_pause()));
}

void Repair::on_back(Instant now, const NodeId& peer) {
  pairs_[peer].greet_at = now + Duration(static_cast<Duration::rep>(rng_.below(1'000'000)));
  if (greet_at_) greet_at_ = std::min(*greet_at_, now + idle_pause());
}

void Repair::compare_now(Instant now) {
  for (auto& [peer, pair] : pairs_) {
    pair.greet_at = now;
    pair.equal_in_view.reset();
    pair.rests_until = now;
    pair.explained_until = now;
    pair.rest = rest_least;
  }
  if (greet_at_) greet_at_ = now;
}

void Repair::greet(const Turn& turn) {
  std::vector<std::pair<Instant, NodeId>> due;
  for (const NodeId& peer : partners(turn.neighbours)) {
    const Pair& pair = pairs_[peer];
    if (cover_.shared_with(peer).empty() && !catch_up_.wants(peer)) continue;
    if (pair.greet_at <= turn.now.instant && turn.neighbours.is_usable(peer)) due.emplace_back(pair.greet_at, peer);
  }
  const std::size_t count = std::min(due.size(), greetings_per_step);
  std::ranges::partial_sort(due, due.begin() + static_cast<std::ptrdiff_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    pairs_[due[i].second].greet_at = with_jitter(turn.now.instant, greeting_interval());
    greetings_.push_back(due[i].second);
  }
}

// ---- answering

// Before all is counted everything would seem to differ, and before the members are known nothing. And who is new
// itself asks one node after the other: it would be given everything several times.
bool Repair::puts_off(const Neighbours& neighbours) const {
  return !is_ready(neighbours) || (catch_up_.is_new() && !led_.empty());
}

Repair::Answer Repair::answer(const Turn& turn, const NodeId& from, const Compare& question) {
  if (puts_off(turn.neighbours) || turn.neighbours.is_held_back_from(from))
    return {.body = CompareReply{.nodes = {}, .differences = {}, .is_put_off = true, .records = {}}};
  settle_cover(turn.neighbours);
  TrieReader shown = reader(from, question.salt);
  CompareReply reply = dht::answer(question, shown);
  const Release release = reply.records.empty() ? Release::at_once : Release::after_commit;
  Answer answer{.body = std::move(reply), .release = release};
  counters_.bytes_sent += weight_of(answer.body);
  return answer;
}

Body Repair::answer(const Turn& turn, const NodeId& from, const Items& question) {
  const bool is_held_back = turn.neighbours.is_held_back() || turn.neighbours.is_held_back_from(from);
  Body reply = is_held_back ? ItemsReply{.records = {}, .is_cut = true} : dht::answer(question, store_);
  counters_.bytes_sent += weight_of(reply);
  return reply;
}

// ---- descents

bool Repair::stands(const Turn& turn, const NodeId& peer, const Pair& pair) const {
  const auto is_with_it = [&](const auto& led) { return led.second.peer == peer; };
  if (std::ranges::any_of(led_, is_with_it)) return false;
  if (!pair.differs_since || pair.rests_until > turn.now.instant) return false;
  if (!turn.neighbours.is_usable(peer) || turn.neighbours.is_held_back_from(peer)) return false;
  const bool is_as_explained = pair.explained == Roots{pair.root, pair.theirs};
  const bool is_wanted = catch_up_.wants(peer);
  if (is_as_explained && !is_wanted && turn.now.instant < pair.explained_until) return false;
  const Duration differs = turn.now.instant - *pair.differs_since;
  const bool is_first = turn.neighbours.self() < peer;
  if (is_wanted && catch_up_.is_on_its_own()) return is_first || differs >= differs_behind;
  return pair.rounds >= rounds_least && differs >= (is_first ? differs_least : differs_long);
}

void Repair::begin_descents(Turn& turn) {
  if (!is_ready(turn.neighbours)) return;
  for (auto& [peer, pair] : pairs_) {
    if (led_.size() >= (catch_up_.is_new() ? 1 : limits::repairs_at_once_max)) return;
    if (!stands(turn, peer, pair)) continue;
    if (root(turn.neighbours, peer) == pair.theirs) continue;  // it differed before members came or went
    led_[++last_number_] = {.peer = peer, .descent = {}, .began = turn.now.instant, .roots = {pair.root, pair.theirs}};
    counters_.descents += 1;
    go_on(turn, last_number_);
  }
}

void Repair::go_on(Turn& turn, std::uint64_t number) {
  const auto found = led_.find(number);
  if (found == led_.end() || found->second.is_waiting || !pace_.is_open(turn.now.instant)) return;
  settle_cover(turn.neighbours);
  const std::uint32_t salt = rng_.u32();
  TrieReader shown = reader(found->second.peer, salt);
  std::optional<Body> question = found->second.descent.next(shown, salt);
  if (!question) return finish(turn.now.instant, number);
  found->second.is_waiting = true;
  ask(turn, number, std::move(*question));
}

void Repair::ask(Turn& turn, std::uint64_t number, Body question) {
  const NodeId& peer = led_.at(number).peer;
  const std::size_t bytes = weight_of(question);
  pace_.spend(turn.now.instant, bytes);
  counters_.bytes_sent += bytes;
  const RequestTerms terms{.to = peer,
                           .owner = {RequestOwner::Kind::repair, number, 0},
                           .round_trip = turn.neighbours.round_trip(peer),
                           .deadline = turn.now.instant + answer_deadline};
  // Records may be of rows that are not durable yet.
  const Release release = std::holds_alternative<Store>(question) ? Release::after_commit : Release::at_once;
  turn.requests.ask(turn.now, terms, {.to = peer, .message = {.body = std::move(question)}, .release = release},
                    turn.out);
}

void Repair::on_reply(Turn& turn, const NodeId& from, const Body& reply, const RequestOwner& owner) {
  const auto found = led_.find(owner.ticket);
  if (found == led_.end()) return;
  Led& led = found->second;
  led.is_waiting = false;
  if (from != turn.neighbours.self()) {
    const std::size_t bytes = weight_of(reply);
    pace_.spend(turn.now.instant, bytes);
    counters_.bytes_fetched += bytes;
  }
  if (const auto* compared = std::get_if<CompareReply>(&reply)) {
    if (compared->is_put_off) return break_off(turn.now.instant, owner.ticket);
    TrieReader shown = reader(led.peer, led.descent.salt());
    led.descent.on_answer(*compared, shown);
    merge(turn, owner.ticket, parsed(compared->records));
  } else if (const auto* items = std::get_if<ItemsReply>(&reply)) {
    const std::vector<Record> records = parsed(items->records);
    if (records.empty() && items->is_cut) return break_off(turn.now.instant, owner.ticket);  // nothing is told now
    led.descent.on_items(records, items->is_cut);
    merge(turn, owner.ticket, records);
  } else if (const auto* stored = std::get_if<StoreReply>(&reply)) {
    led.records +=
        static_cast<std::uint64_t>(std::ranges::count(stored->answers, StoreStatus::stored, &StoreAnswer::status));
    const auto is_left_out = [&](const StoreAnswer& answer) {
      // What one device dated wrongly holds up nobody.
      const bool is_for_clock = answer.reason == ErrorCode::clock_skew;
      return may_be_taken_later(answer) && (!is_for_clock || turn.neighbours.is_clock_behind(turn.now));
    };
    const bool is_here = from == turn.neighbours.self();
    if (is_here && std::ranges::any_of(stored->answers, is_left_out))
      return rest_longer(turn.now.instant, owner.ticket);
  } else {
    return break_off(turn.now.instant, owner.ticket);
  }
  go_on(turn, owner.ticket);
}

// Fetched records take the way of all records: sent to this node itself, which verifies, merges and commits them. Those
// that are here already, where the two do not share them in this node's view, were brought for nothing.
void Repair::merge(Turn& turn, std::uint64_t number, const std::vector<Record>& records) {
  Store store{.purpose = StorePurpose::repair, .records = {}, .hint = {}};
  for (const Record& record : records) {
    const Rows& held = store_.peek(record.key_hash()).rows;
    const auto is_same = [&](const Row& row) { return row.is_replica && row.record == record; };
    if (std::ranges::none_of(held, is_same)) store.records.push_back(record.bytes());
  }
  if (store.records.empty()) return;
  led_.at(number).is_waiting = true;
  const NodeId& self = turn.neighbours.self();
  const std::uint64_t id = turn.requests.expect(self, {RequestOwner::Kind::repair, number, 0});
  turn.out.sends.push_back({.to = self, .message = {.request_id = id, .body = std::move(store)}});
}

void Repair::on_silence(const Turn& turn, const RequestOwner& owner) {
  if (led_.contains(owner.ticket)) break_off(turn.now.instant, owner.ticket);
}

// The peer did not go on with it.
void Repair::break_off(Instant now, std::uint64_t number) {
  Led& led = led_.at(number);
  Pair& pair = pairs_[led.peer];
  pair.rests_until = with_jitter(now, rest_least);
  pair.differs_since.reset();
  pair.rounds = 0;
  counters_.records_repaired += led.records;
  led_.erase(number);
}

// There is no room here for what the peer gives, or it is of a later time than it is here: soon it will not be better.
void Repair::rest_longer(Instant now, std::uint64_t number) {
  Pair& pair = pairs_[led_.at(number).peer];
  pair.rest = std::clamp(2 * pair.rest, rest_least, rest_most);
  const Duration rest = pair.rest;
  break_off(now, number);
  pair.rests_until = with_jitter(now, rest);
}

// One that brought nothing doubles the rest before the next: what it met may be refused for its clock, or on its way.
void Repair::finish(Instant now, std::uint64_t number) {
  const auto found = led_.find(number);
  Pair& pair = pairs_[found->second.peer];
  const Led& led = found->second;
  pair.rest = led.records > 0 ? rest_least : std::clamp(2 * pair.rest, rest_least, rest_most);
  pair.rests_until = with_jitter(now, pair.rest);
  if (led.records == 0 && led.descent.is_complete()) {
    pair.explained = led.roots;
    pair.explained_until = with_jitter(now, explained_holds);
  }
  pair.differs_since.reset();
  pair.rounds = 0;
  counters_.records_repaired += led.records;
  counters_.partitions_differing += led.descent.partitions_differing();
  if (led.descent.is_complete()) catch_up_.on_compared(led.peer, led.began);
  led_.erase(found);
}

// What is under way is forgotten; its answers will find nobody.
void Repair::drop(const NodeId& peer) {
  std::erase_if(led_, [&](const auto& entry) { return entry.second.peer == peer; });
  pairs_.erase(peer);
}

// ---- time

bool Repair::is_count_urgent() const {
  return !trie_.is_counted() || trie_.has_doubts() || trie_.usage().has_unknown();
}

bool Repair::is_busy(const Neighbours& neighbours) const {
  const bool is_share_open = !trie_.usage().is_idle() && !share_.is_current(neighbours);
  return is_count_urgent() || is_share_open || !cover_.is_current(neighbours);
}

void Repair::count(const Turn& turn) {
  const bool is_urgent = is_count_urgent();
  if (!is_urgent && turn.now.instant < round_at_) return;
  trie_.count_some(store_, is_urgent ? keys_per_step : keys_per_idle_step);
  if (std::exchange(rounds_, trie_.rounds()) != trie_.rounds()) {
    round_at_ = with_jitter(turn.now.instant, round_interval);
    share_.begin_again();
  }
}

void Repair::on_deadline(Turn& turn) {
  if (step_at_ && *step_at_ <= turn.now.instant) {
    count(turn);
    settle_cover(turn.neighbours);
    cover_.renew(turn.neighbours, trie_, partitions_per_step);
    if (!trie_.usage().is_idle()) share_.renew(turn.neighbours, trie_, partitions_per_step);
    catch_up_.settle(turn.now.instant, turn.neighbours, partners(turn.neighbours));
    begin_descents(turn);
    step_at_ = turn.now.instant + (is_busy(turn.neighbours) ? step_pause : idle_pause());
  }
  if (greet_at_ && *greet_at_ <= turn.now.instant) {
    greet(turn);
    greet_at_ = with_jitter(turn.now.instant, idle_pause());
  }
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, led] : led_) numbers.push_back(number);
  for (const std::uint64_t number : numbers) go_on(turn, number);
}

std::optional<Instant> Repair::next_deadline() const {
  std::optional<Instant> next = earlier(step_at_, greet_at_);
  const bool is_held_back = std::ranges::any_of(led_, [](const auto& entry) { return !entry.second.is_waiting; });
  return is_held_back ? earlier(next, pace_.opens_at()) : next;
}

// ---- looking

// Two that share nothing which holds anything need not exchange roots, and are equal.
Repair::Verdict Repair::verdict(const NodeId& peer) const {
  const auto found = pairs_.find(peer);
  if (found != pairs_.end() && found->second.equal_in_view == cover_.made_from()) return Verdict::equal;
  if (found != pairs_.end() && found->second.rounds >= rounds_least) return Verdict::differing;
  const bool differed = found != pairs_.end() && found->second.was_heard && !found->second.equal_in_view;
  const bool may_share = differed || !trie_.is_counted() || catch_up_.wants(peer) || !cover_.shared_with(peer).empty();
  return may_share ? Verdict::open : Verdict::equal;
}

// Who shares something with this node: as far as it knows, or as their pings say, for what is empty here is theirs too.
std::vector<NodeId> Repair::partners(const Neighbours& neighbours) const {
  std::vector<NodeId> partners = cover_.peers();
  for (const auto& [peer, pair] : pairs_) {
    if (pair.was_heard && neighbours.is_usable(peer)) partners.push_back(peer);
  }
  std::ranges::sort(partners);
  partners.erase(std::unique(partners.begin(), partners.end()), partners.end());
  return partners;
}

std::optional<std::uint64_t> Repair::usage_of(std::string_view name) const {
  const std::optional<std::uint64_t> bytes = trie_.usage().bytes(name);
  return bytes ? share_.of_mesh(*bytes) : std::nullopt;
}

bool Repair::holds_nothing() const {
  return trie_.is_empty_between(Prefix{}.first_partition(), Prefix{}.last_partition());
}

Repair::Progress Repair::progress(const Neighbours& neighbours) const {
  Progress progress{.is_filling = catch_up_.is_new(),
                    .is_counted = trie_.is_counted() && cover_.is_current(neighbours),
                    .descents_open = led_.size(),
                    .corrections = trie_.corrections()};
  for (const NodeId& peer : partners(neighbours)) {
    if (!neighbours.is_usable(peer)) {
      progress.peers_away += 1;
      continue;
    }
    progress.peers += 1;
    progress.peers_equal += verdict(peer) == Verdict::equal ? 1 : 0;
    progress.peers_differing += verdict(peer) == Verdict::differing ? 1 : 0;
  }
  for (const std::uint16_t partition : cover_.elsewhere()) progress.records_elsewhere += trie_.tally(partition).count;
  return progress;
}

}  // namespace kith::dht
