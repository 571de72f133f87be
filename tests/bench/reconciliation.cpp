// SPDX-License-Identifier: MIT
#include "tests/bench/reconciliation.h"

#include <fmt/core.h>

#include <numeric>
#include <set>
#include <utility>

#include "crypto/hash.h"
#include "crypto/rng.h"
#include "dht/model/memory_store.h"
#include "dht/repair/descent.h"
#include "dht/repair/tracked_store.h"
#include "dht/wire.h"
#include "tests/support/records.h"

namespace kith::bench {
namespace {

using namespace dht;

constexpr std::size_t records = 1'000'000;
constexpr std::size_t value_bytes = 1000;
constexpr DataKey data_key{1, 2, 3};

Rows rows_of(std::size_t number, Seq seq) {
  const std::string value(value_bytes, 'v');
  return {{.record = tests::record_of({.seq = seq, .value = value, .key = fmt::format("bench/{}", number)}),
           .is_replica = true}};
}

// A million records, in order of their keys' hashes.
struct Million {
  Million() {
    for (std::size_t i = 0; i < records; ++i) {
      Rows rows = rows_of(i, 1);
      keys.push_back(rows.front().record.key_hash());
      store.replace(keys.back(), std::move(rows));
      if (i % 1000 == 0) store.commit();
    }
    store.commit();
    std::sort(keys.begin(), keys.end());
  }

  MemoryStore store;
  std::vector<KeyHash> keys;
};

// A replica of the million that lacks some. Only what a descent calls is there.
class Replica final : public RecordStore {
 public:
  Replica(MemoryStore& all, std::set<KeyHash> lacking) : all_(all), lacking_(std::move(lacking)) {
    while (!trie_.is_counted()) trie_.count_some(*this, 100'000);
  }

  TrieReader reader(std::uint32_t salt) {
    if (shared_.empty()) {
      shared_.resize(std::size_t{1} << partition_bits);
      std::iota(shared_.begin(), shared_.end(), std::uint16_t{0});
    }
    return TrieReader({.trie = trie_, .store = *this, .shared = shared_}, salt);
  }
  // What rides on a ping.
  std::uint64_t root() { return trie_.hasher().root(reader(0).tally({}), {}, {}); }
  std::size_t lacking() const { return lacking_.size(); }
  void take(const Record& record) {
    if (lacking_.erase(record.key_hash()) > 0) trie_.change(record.key_hash(), {}, all_.read(record.key_hash()).rows);
  }

  const KeyRows& read(const KeyHash& key) override {
    static const KeyRows nothing;
    return lacking_.contains(key) ? nothing : all_.read(key);
  }
  std::vector<KeyHash> keys_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) override {
    return all_.keys_between(first, last, count_max);
  }
  void replace(const KeyHash&, Rows) override {}
  void outbox_add(const KeyHash&, const NodeId&) override {}
  void outbox_remove(const KeyHash&, const NodeId&) override {}
  OutboxPage outbox_after(const NodeId&, const std::optional<KeyHash>&, std::size_t) override { return {}; }
  ScanPage scan(const std::optional<KeyHash>&, std::string_view, WallMs, std::size_t) override { return {}; }
  std::vector<KeyHash> keys_after(const std::optional<KeyHash>&) override { return {}; }
  std::optional<Operation> find_operation(const OpId&) override { return std::nullopt; }
  void remember_operation(const OpId&, const Operation&) override {}
  std::optional<AuthorState> author_state() const override { return std::nullopt; }
  void reserve(const AuthorState&) override {}
  std::vector<crypto::Bytes> contacts() override { return {}; }
  void remember_contact(const NodeId&, crypto::ByteSpan) override {}
  void forget_contact(const NodeId&) override {}
  std::vector<crypto::Bytes> policies() override { return {}; }
  void keep_policy(const KeyHash&, crypto::ByteSpan) override {}
  HeldAcceptance acceptance(const KeyHash&) override { return {}; }
  void keep_acceptance(const KeyHash&, const Acceptance&) override {}
  void drop_acceptance(const KeyHash&) override {}
  KeyPage acceptances_between(const KeyHash&, const KeyHash&, std::size_t) override { return {}; }
  ShardRows shards() override { return {}; }
  void keep_shard(Shard, crypto::ByteSpan) override {}
  std::vector<Note> notes(NoteKind) override { return {}; }
  void keep_note(const Note&) override {}
  void drop_note(NoteKind, crypto::ByteSpan) override {}
  StoreTotals totals() const override { return {}; }

 private:
  MemoryStore& all_;
  std::set<KeyHash> lacking_;
  DigestTrie trie_{data_key};
  std::vector<std::uint16_t> shared_;
};

// What a descent between two replicas sent: all messages whole, and how much of them was records.
struct Cost {
  std::size_t bytes = 0;
  std::size_t record_bytes = 0;
  std::size_t messages = 0;
  std::size_t descents = 0;

  void add(const Body& body) {
    bytes += write_message({.request_id = 0x0102030405060708, .body = body}).size();
    messages += 1;
    const auto* store = std::get_if<Store>(&body);
    const auto* items = std::get_if<ItemsReply>(&body);
    const auto* compared = std::get_if<CompareReply>(&body);
    if (store != nullptr) add_records(store->records);
    if (items != nullptr) add_records(items->records);
    if (compared != nullptr) add_records(compared->records);
  }
  void add_records(const std::vector<crypto::Bytes>& sent) {
    for (const crypto::Bytes& record : sent) record_bytes += record.size();
  }
};

std::vector<Record> take_all(Replica& replica, const std::vector<crypto::Bytes>& all) {
  std::vector<Record> taken;
  for (const crypto::Bytes& bytes : all) {
    taken.push_back(*Record::parse(bytes));
    replica.take(taken.back());
  }
  return taken;
}

void answer_question(const Body& question, Replica& leader, Replica& other, Descent& descent, Cost& cost) {
  if (const auto* compare = std::get_if<Compare>(&question)) {
    TrieReader theirs = other.reader(compare->salt);
    const CompareReply reply = answer(*compare, theirs);
    cost.add(reply);
    TrieReader ours = leader.reader(compare->salt);
    descent.on_answer(reply, ours);
    take_all(leader, reply.records);
  } else if (const auto* items = std::get_if<Items>(&question)) {
    const ItemsReply reply = answer(*items, other);
    cost.add(reply);
    descent.on_items(take_all(leader, reply.records), reply.is_cut);
  } else if (const auto* store = std::get_if<Store>(&question)) {
    take_all(other, store->records);
    cost.add(StoreReply{.answers = std::vector<StoreAnswer>(store->records.size())});
  }
}

void descend(Replica& leader, Replica& other, crypto::Rng& rng, Cost& cost) {
  Descent descent;
  cost.descents += 1;
  for (;;) {
    const std::uint32_t salt = rng.u32();
    TrieReader reader = leader.reader(salt);
    const std::optional<Body> question = descent.next(reader, salt);
    if (!question) return;
    cost.add(*question);
    answer_question(*question, leader, other, descent, cost);
  }
}

// What two bytes of digest hid the root shows, and another descent with other salts finds.
Cost make_equal(Replica& leader, Replica& other, crypto::Rng& rng) {
  Cost cost;
  while (leader.root() != other.root()) descend(leader, other, rng, cost);
  return cost;
}

enum class Spread : std::uint8_t { everywhere, clustered };

// Each of the two lacks half of the differences.
std::vector<Row> bench_differences(Million& million, std::size_t differences, Spread spread, double known) {
  crypto::Rng rng(std::array<std::uint8_t, 32>{static_cast<std::uint8_t>(differences)});
  std::array<std::set<KeyHash>, 2> lacking;
  const std::size_t first = rng.below(records - differences + 1);
  for (std::size_t i = 0; i < differences;) {
    const std::size_t at = spread == Spread::clustered ? first + i : rng.below(records);
    if (lacking[0].contains(million.keys[at]) || lacking[1].contains(million.keys[at])) continue;
    lacking[i++ % 2].insert(million.keys[at]);
  }
  Replica leader(million.store, lacking[0]);
  Replica other(million.store, lacking[1]);
  const Cost cost = make_equal(leader, other, rng);
  const std::string what =
      fmt::format("{} of a million differ{}", differences, spread == Spread::clustered ? " in one place" : "");
  const auto missed = leader.lacking() + other.lacking();
  std::vector<Row> rows{
      {fmt::format("{}, {} messages, {} descents, {} missed", what, cost.messages, cost.descents, missed),
       static_cast<double>(cost.bytes - cost.record_bytes), known, "B", 0}};
  if (differences >= 100) {
    rows.push_back({what + ": all bytes | the records of 1-kB values (at most 1.10)", static_cast<double>(cost.bytes),
                    static_cast<double>(cost.record_bytes), "B", 0});
  }
  return rows;
}

// What replicas that are equal tell each other.
Row bench_in_sync() {
  constexpr std::size_t empty_field = 3;
  const auto bytes = [](std::uint64_t digest) {
    return write_message({.request_id = 1, .body = Ping{.store_digest = digest}}).size();
  };
  return {"in sync: bytes on each ping (at most 12)", static_cast<double>(bytes(~0ULL) - bytes(0) + empty_field), 0,
          "B", 0};
}

// Versions of keys all over the hash space. A write has the rows that it replaces and its own at hand, so these are
// looked at before; the tallies of their partitions are as cold as a million records leave them.
constexpr std::size_t written = 20'000;
constexpr std::size_t at_hand = 50;

// The median of short rounds: a program that has the core in between spoils a few of them only.
template <typename Change>
double median_ns(const RecordHasher& hasher, const std::vector<std::pair<Rows, Rows>>& versions, Change change) {
  std::vector<double> took_ns;
  for (std::size_t begin = 0; begin < versions.size(); begin += at_hand) {
    const auto round = std::span(versions).subspan(begin, at_hand);
    for (const auto& [before, after] : round) {
      if (before == after || hasher.of(before) == hasher.of(after)) std::abort();
    }
    took_ns.push_back(1e9 / rate([&] {
                        for (const auto& [before, after] : round) change(before, after);
                        return round.size();
                      }));
  }
  return median(took_ns);
}

// A new key costs the digest of a record, an overwrite those of two. Beside it what as many hashes take alone.
std::vector<Row> bench_upkeep(Million& million) {
  DigestTrie trie(data_key);
  while (!trie.is_counted()) trie.count_some(million.store, 100'000);
  std::vector<std::pair<Rows, Rows>> versions;
  for (std::size_t i = 0; i < written; ++i) versions.emplace_back(rows_of(i, 1), rows_of(i, 2));
  const double overwrite_ns = median_ns(trie.hasher(), versions, [&](const Rows& before, const Rows& after) {
    trie.change(before.front().record.key_hash(), before, after);
  });
  const double new_ns = median_ns(trie.hasher(), versions, [&](const Rows&, const Rows& after) {
    trie.change(after.front().record.key_hash(), {}, after);
  });
  const crypto::Hash128 key{1, 2, 3};
  const double hash_ns = median_ns(trie.hasher(), versions, [&](const Rows& before, const Rows&) {
    if (crypto::siphash_128(key, std::span(before.front().record.bytes()).first(112)) == crypto::Hash128{})
      std::abort();
  });
  return {{"upkeep of the digests, a new key (at most 500) | SipHash of a record's name", new_ns, hash_ns, "ns", 0},
          {"upkeep of the digests, an overwrite (at most 500) | of two", overwrite_ns, 2 * hash_ns, "ns", 0}};
}

}  // namespace

std::vector<Row> bench_reconciliation() {
  Million million;
  std::vector<Row> rows = bench_upkeep(million);
  rows.push_back(bench_in_sync());
  const auto append = [&](const std::vector<Row>& more) { rows.insert(rows.end(), more.begin(), more.end()); };
  const std::vector<std::pair<std::size_t, double>> known{
      {1, 351}, {10, 3014}, {100, 22'552}, {1'000, 166'609}, {10'000, 1'120'000}};
  for (const auto& [differences, bytes] : known) {
    append(bench_differences(million, differences, Spread::everywhere, bytes));
    if (differences > 1) append(bench_differences(million, differences, Spread::clustered, bytes));
  }
  return rows;
}

}  // namespace kith::bench
