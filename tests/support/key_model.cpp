// SPDX-License-Identifier: MIT
#include "tests/support/key_model.h"

#include <algorithm>
#include <numeric>

#include "tests/support/records.h"

namespace kith::tests {

using namespace dht;

namespace {

constexpr std::size_t device_count = 4;
constexpr std::size_t replica_count = 3;  // the first three; the last device only writes
constexpr std::size_t write_quorum = 2;
constexpr std::size_t client_count = 3;
constexpr std::string_view key_name = "default/key";
const KeyHash key = hash_key(key_name);
const crypto::Hash256 data_key{};

crypto::Rng rng_from(std::uint64_t seed) { return crypto::Rng(numbered_key(seed)); }

OpId op_id_of(std::size_t op) {
  OpId id{};
  id[0] = static_cast<std::uint8_t>(op);
  return id;
}
std::size_t op_of(const Entry& entry) { return entry.op_id[0]; }

Rows replica_rows(const Rows& rows) {
  Rows result;
  for (const Row& row : rows) {
    if (row.is_replica) result.push_back({.record = row.record, .is_own = false, .is_replica = true});
  }
  return result;
}

const Record* own_row(const Rows& rows, const Actor& actor) {
  for (const Row& row : rows) {
    if (row.is_own && row.record.actor() == actor) return &row.record;
  }
  return nullptr;
}

}  // namespace

struct KeyModel::Device {
  explicit Device(std::size_t device_index, crypto::Rng device_rng)
      : index(device_index), rng(std::move(device_rng)), signatures(device_index) {}

  bool is_replica() const { return index < replica_count; }
  const Rows& rows() { return store.read(key).rows; }

  std::size_t index;
  crypto::Rng rng;
  HashSignatures signatures;
  MemoryStore store;
  std::optional<Author> author;
  WallMs wall_ms = 0;
  Knowledge heard;  // what answers told; in memory only
  std::optional<MemoryStore::Tables> backup;
};

KeyModel::KeyModel(std::uint64_t seed, PlantedFault fault)
    : fault_(fault), rng_(rng_from(seed)), clients_(client_count) {
  for (std::size_t i = 0; i < device_count; ++i) {
    devices_.push_back(std::make_unique<Device>(i, rng_.fork()));
    Device& device = *devices_.back();
    device.wall_ms = time_ms_ + rng_.below(10'000);
    device.author.emplace(device.signatures, AuthorState{});
    device.author->begin_run(device.rng, device.wall_ms);
  }
}

KeyModel::~KeyModel() = default;

std::optional<std::string> KeyModel::run() {
  const std::uint64_t steps = 10 + rng_.below(50);
  for (std::uint64_t i = 0; i < steps && violation_.empty(); ++i) step();
  heal();
  if (violation_.empty()) violation_ = find_violation().value_or("");
  return violation_.empty() ? std::nullopt : std::optional(violation_);
}

void KeyModel::step() {
  const WallMs passed = rng_.below(3'000);
  for (const auto& device : devices_) device->wall_ms += passed;
  Device& device = *devices_[rng_.below(device_count)];
  const std::uint64_t dice = rng_.below(100);
  if (dice < 45) return write();
  if (dice < 65) return read();
  if (dice < 80) return deliver_one();
  if (dice < 86) return resend(device.index);
  if (dice < 91) return synchronise(rng_.below(replica_count), rng_.below(replica_count));
  if (dice < 95) return crash(device);
  if (dice < 97) return lose_disk(device);
  if (dice < 98) device.backup = device.store.backup();
  if (dice >= 99) device.wall_ms -= 45'000;  // a wrong clock is set right
}

// ---- writing

void KeyModel::write() {
  if (ops_.size() == ops_max) return;
  Device& device = *devices_[rng_.below(device_count)];
  std::vector<Knowledge>& known = clients_[rng_.below(client_count)];
  const bool is_blind = known.empty() || rng_.chance(0.15);
  const bool is_stale = rng_.chance(0.4);
  const Knowledge used = is_blind ? Knowledge{} : known[is_stale ? rng_.below(known.size()) : known.size() - 1];
  const Knowledge heard = rng_.chance(0.5) ? device.heard : Knowledge{};

  const std::size_t op = ops_.size();
  const Ops seen = is_blind ? ops_of(device.rows()) | heard.seen : used.seen;
  begin_run_if(device, device.author->needs_new_run(device.wall_ms) ||
                           device.author->contradicts(is_blind ? heard.token : used.token, device.rows()));
  const std::string value = std::to_string(op);
  const bool is_delete = rng_.chance(0.25);
  const auto written = author(device,
                              {.key = key_name,
                               .kind = is_delete ? EntryKind::tombstone : EntryKind::value,
                               .value = crypto::as_bytes(is_delete ? "" : value),
                               .op_id = op_id_of(op),
                               .token = is_blind ? nullptr : &used.token},
                              heard.token);
  if (!written || !violation_.empty()) return;
  const Authored& authored = *written;
  Rows rows = device.rows();
  merge_own(rows, authored.record, device.is_replica() ? OwnPlacement::author_and_replica : OwnPlacement::author_only);
  device.store.replace(key, std::move(rows));
  device.store.reserve(authored.reserved);
  if (rng_.chance(0.05) && fault_ != PlantedFault::sent_before_commit) return crash(device);
  if (fault_ != PlantedFault::sent_before_commit) device.store.commit();
  ops_.push_back({.past = seen, .is_acknowledged = false});
  const std::size_t copies = send(device.index, authored.record) + (device.is_replica() ? 1 : 0);
  if (fault_ == PlantedFault::sent_before_commit) {
    if (rng_.chance(0.2)) return crash(device);
    device.store.commit();
  }
  ops_[op].is_acknowledged = copies >= write_quorum;
  Knowledge after{authored.token, used.seen | (is_blind ? seen : Ops{})};
  const bool covers_itself = authored.token.covers(authored.record.tag(), authored.record.seq());
  if (covers_itself) after.seen.set(op);
  known.push_back(std::move(after));
}

std::optional<Authored> KeyModel::author(Device& device, const WriteIntent& intent, const VersionVector& heard) {
  const Rows rows = device.rows();
  auto authored = device.author->write(intent, rows, heard, device.wall_ms);
  if (!authored && fault_ == PlantedFault::none) fail("the author finds itself contradicted");
  if (!authored) return std::nullopt;
  if (fault_ != PlantedFault::none) return spoil(device, intent, rows, *std::move(authored));
  if (intent.token != nullptr) check_by_definition(intent, rows, *authored);
  return *std::move(authored);
}

// The rule of a new record once more, in the words of the data model.
void KeyModel::check_by_definition(const WriteIntent& intent, const Rows& rows, const Authored& authored) {
  const Record* own = own_row(rows, authored.record.actor());
  VersionVector context = *intent.token;
  std::vector<Seq> seqs;
  for (std::size_t i = 0; own != nullptr && i < own->entry_count(); ++i) {
    if (intent.token->at(own->tag()) < own->entry(i).seq) seqs.push_back(own->entry(i).seq);
  }
  if (own != nullptr) context.join(own->context());
  VersionVector token = context;
  token.raise(authored.record.tag(), authored.record.seq());
  if (!seqs.empty()) token = *intent.token;
  seqs.push_back(authored.record.seq());

  std::vector<Seq> written;
  for (std::size_t i = 0; i < authored.record.entry_count(); ++i) written.push_back(authored.record.entry(i).seq);
  VersionVector claimed;
  claimed.join(authored.record.context());
  if (written != seqs) fail("a record does not keep exactly the own values that its token does not cover");
  if (claimed != context) fail("a record's context is not its token joined with the earlier context");
  if (authored.token != token) fail("a write's token is not what the rule says");
}

Authored KeyModel::spoil(const Device& device, const WriteIntent& intent, const Rows& rows, Authored good) {
  const Record record = good.record;
  const Record* own = own_row(rows, record.actor());
  VersionVector context;
  context.join(record.context());
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < record.entry_count(); ++i) entries.push_back(record.entry(i));
  if (fault_ == PlantedFault::context_not_inherited && intent.token != nullptr && own != nullptr) {
    context = *intent.token;
  }
  if (fault_ == PlantedFault::covered_by_own_seq) entries.erase(entries.begin(), entries.end() - 1);
  good.record = Record::sign(
      {.key = record.key(), .actor = record.actor(), .seq = record.seq(), .context = &context, .entries = entries},
      device.signatures);
  const bool claims_all =
      fault_ == PlantedFault::token_claims_kept_values || fault_ == PlantedFault::covered_by_own_seq;
  if (claims_all) {
    good.token.join(context);
    good.token.raise(record.tag(), record.seq());
  }
  return good;
}

// Returns how many other replicas have it on disk at once; some hear of it later, twice, or never.
std::size_t KeyModel::send(std::size_t from, const Record& record) {
  history_.push_back(record);
  std::size_t copies = 0;
  for (std::size_t to = 0; to < replica_count; ++to) {
    if (to == from) continue;
    if (rng_.chance(0.25)) in_flight_.push_back({to, record});
    if (!rng_.chance(0.6) || !deliver(*devices_[to], record)) continue;
    ++copies;
    const Rows& rows = devices_[to]->rows();
    devices_[from]->heard.token.join(joined_context(rows));
    devices_[from]->heard.seen |= ops_of(rows);
  }
  return copies;
}

// ---- receiving

// True when the record, or what supersedes it, is durable here.
bool KeyModel::deliver(Device& device, const Record& record) {
  begin_run_if(device, device.author->contradicts(record, device.rows()));
  device.author->observe(record.seq(), device.wall_ms);
  Rows rows = device.rows();
  merge(rows, record);
  device.store.replace(key, std::move(rows));
  if (rng_.chance(0.02)) {
    crash(device);
    return false;
  }
  device.store.commit();
  return true;
}

MergeVerdict KeyModel::merge(Rows& rows, const Record& record) const {
  if (fault_ != PlantedFault::context_ignored_in_merge) return merge_record(rows, record).verdict;
  const auto is_replaced = [&](const Row& row) {
    return row.record.actor() == record.actor() && row.record.seq() <= record.seq();
  };
  std::erase_if(rows, [&](const Row& row) { return is_replaced(row) && !row.is_own; });
  for (Row& row : rows) {
    if (row.record.actor() == record.actor() && row.record.seq() >= record.seq()) {
      if (row.record == record) row.is_replica = true;
      return MergeVerdict::stale;
    }
  }
  rows.push_back({.record = record, .is_own = false, .is_replica = true});
  return MergeVerdict::stored;
}

void KeyModel::read() {
  Device& coordinator = *devices_[rng_.below(device_count)];
  const std::size_t silent = rng_.below(replica_count);
  Rows rows;
  for (std::size_t i = 0; i < replica_count; ++i) {
    if (i == silent) continue;
    for (const Row& row : replica_rows(devices_[i]->rows())) merge(rows, row.record);
  }
  const VersionVector token = joined_context(rows);
  begin_run_if(coordinator, coordinator.author->contradicts(token, coordinator.rows()));
  clients_[rng_.below(client_count)].push_back({token, ops_of(rows)});
}

void KeyModel::deliver_one() {
  if (in_flight_.empty()) return;
  const std::size_t chosen = rng_.below(in_flight_.size());
  const InFlight message = in_flight_[chosen];
  if (rng_.chance(0.8)) in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(chosen));
  if (rng_.chance(0.8)) deliver(*devices_[message.to], message.record);
}

// The outbox: an author's rows reach every replica in the end.
void KeyModel::resend(std::size_t from) {
  const Rows rows = devices_[from]->rows();
  for (const Row& row : rows) {
    for (std::size_t to = 0; row.is_own && to < replica_count; ++to) deliver(*devices_[to], row.record);
  }
}

void KeyModel::synchronise(std::size_t from, std::size_t to) {
  for (const Row& row : replica_rows(devices_[from]->rows())) deliver(*devices_[to], row.record);
}

// ---- what goes wrong

void KeyModel::crash(Device& device) {
  device.store.crash();
  device.heard = {};
  const auto state = device.store.author_state();
  device.author.emplace(device.signatures, state.value_or(AuthorState{}));
  if (!state) device.author->begin_run(device.rng, device.wall_ms);
}

// One disk in a schedule is lost or set back: what W = 2 promises to survive.
void KeyModel::lose_disk(Device& device) {
  if (lost_a_disk_) return;
  lost_a_disk_ = true;
  const AuthorState before = device.author->state();
  device.backup ? device.store.restore(*device.backup) : device.store.wipe();
  device.heard = {};
  if (fault_ == PlantedFault::run_reused_after_wipe) {
    device.author.emplace(device.signatures, before);
  } else {
    crash(device);
  }
}

void KeyModel::begin_run_if(Device& device, bool is_needed) {
  if (!is_needed || fault_ == PlantedFault::run_reused_after_wipe) return;
  device.author->begin_run(device.rng, device.wall_ms);
}

void KeyModel::heal() {
  while (!in_flight_.empty()) {
    if (rng_.chance(0.5)) deliver(*devices_[in_flight_.back().to], in_flight_.back().record);
    in_flight_.pop_back();
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t from = 0; from < device_count; ++from) resend(from);
    for (std::size_t from = 0; from < replica_count; ++from) {
      for (std::size_t to = 0; to < replica_count; ++to) synchronise(from, to);
    }
  }
}

// ---- the truth

// The writes that these rows hold or claim to know of.
KeyModel::Ops KeyModel::ops_of(std::span<const Row> rows) const {
  Ops ops;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.record.entry_count(); ++i) {
      const std::size_t op = op_of(row.record.entry(i));
      ops.set(op);
      ops |= ops_[op].past;
    }
  }
  return ops;
}

std::vector<std::size_t> KeyModel::live_ops(const Device& device) const {
  const Rows rows = replica_rows(const_cast<Device&>(device).rows());
  std::vector<std::size_t> live;
  if (fault_ == PlantedFault::context_ignored_in_merge) {
    for (const Row& row : rows) live.push_back(op_of(row.record.entry(row.record.entry_count() - 1)));
    return live;
  }
  for (const LiveEntry& entry : live_entries(rows, 0)) live.push_back(op_of(entry.entry));
  return live;
}

std::optional<std::string> KeyModel::find_violation() {
  for (std::size_t i = 1; i < replica_count; ++i) {
    const auto digest = [&](std::size_t at) { return digest_of(devices_[at]->rows(), data_key); };
    if (digest(i) != digest(0)) return "replicas differ after healing";
  }
  const std::vector<std::size_t> live = live_ops(*devices_[0]);
  const auto is_live = [&](std::size_t op) { return std::ranges::find(live, op) != live.end(); };
  for (std::size_t op = 0; op < ops_.size(); ++op) {
    const bool is_superseded = std::ranges::any_of(live, [&](std::size_t other) { return ops_[other].past.test(op); });
    if (ops_[op].is_acknowledged && !is_live(op) && !is_superseded) {
      return "acknowledged write " + std::to_string(op) + " is lost";
    }
    if (!ops_[op].is_acknowledged && !is_live(op)) continue;
    for (const std::size_t other : live) {
      if (ops_[op].past.test(other)) return "write " + std::to_string(other) + " came back after " + std::to_string(op);
    }
  }
  return std::nullopt;
}

void KeyModel::fail(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

}  // namespace kith::tests
