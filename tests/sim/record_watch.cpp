// SPDX-License-Identifier: MIT
#include "tests/sim/record_watch.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace kith::sim {

namespace {

std::size_t hash_of(crypto::ByteSpan bytes) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::size_t content_of(std::string_view key, const dht::Entry& entry) {
  std::size_t hash = std::hash<std::string_view>{}(key);
  const auto mix = [&](std::size_t value) { hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL; };
  mix(static_cast<std::size_t>(entry.kind));
  mix(entry.expires_ms);
  mix(hash_of(entry.op_id));
  mix(hash_of(entry.bytes));
  return hash;
}

// Of the replica's rows, in whatever order they stand; zero where there are none.
std::uint64_t state_of(const dht::Rows& rows) {
  std::uint64_t sum = 0;
  for (const dht::Row& row : rows) {
    if (row.is_replica) sum += (row.record.tag() ^ (row.record.seq() << 7U)) * 0x9E3779B97F4A7C15ULL | 1U;
  }
  return sum;
}

}  // namespace

// ---- authors

RecordWatch::Run& RecordWatch::run_of(std::size_t device, dht::ActorTag tag) {
  return runs_.try_emplace(tag, Run{.device = device}).first->second;
}

void RecordWatch::on_told(std::size_t device, const dht::Record& record) {
  if (record.actor().author != mesh_.at(device).signatures().signing_key()) return;
  Run& run = run_of(device, record.tag());
  run.issued = std::max(run.issued, record.seq());
}

void RecordWatch::on_authored(std::size_t device, const dht::Record& record, const std::optional<dht::Record>& before) {
  Run& run = run_of(device, record.tag());
  findings_.look(Invariant::dots_are_unique);
  if (run.has_ended) {
    findings_.add({Invariant::dots_are_unique},
                  fmt::format("device {} writes {} in a run that ended with its disk", device, record.key()));
  }
  if (record.seq() <= run.durable) {
    findings_.add({Invariant::dots_are_unique},
                  fmt::format("device {} gave {} a seq that is not above its last", device, record.key()));
  }
  run.durable = std::max(run.durable, record.seq());
  run.issued = std::max(run.issued, record.seq());
  check_dots(record);
  authored_.try_emplace({record.tag(), record.seq()}, hash_of(record.bytes()));
  if (!before) return;
  // Whoever covers this record must cover what the earlier one covered: nobody else may be left to say it.
  findings_.look(Invariant::merge_is_closed);
  const auto context = before->context();
  const auto is_inherited = [&](const auto& each) { return record.context_at(each.tag) >= each.seq; };
  if (!std::ranges::all_of(context, is_inherited)) {
    findings_.add({Invariant::merge_is_closed},
                  fmt::format("device {} wrote {} without what its earlier record had seen", device, record.key()));
  }
}

void RecordWatch::check_dots(const dht::Record& record) {
  dht::Seq last = 0;
  for (std::size_t i = 0; i < record.entry_count(); ++i) {
    const dht::Entry entry = record.entry(i);
    if (entry.seq <= last || entry.seq > record.seq()) {
      findings_.add({Invariant::merge_is_closed}, fmt::format("a record of {} has entries out of order", record.key()));
    }
    last = entry.seq;
    const std::size_t content = content_of(record.key(), entry);
    const auto [known, is_new] = contents_.try_emplace({record.tag(), entry.seq}, content);
    if (!is_new && known->second != content) {
      findings_.add({Invariant::dots_are_unique}, fmt::format("a dot of {} has two contents", record.key()));
    }
    if (entry.kind == dht::EntryKind::counter) check_share(record, entry);
  }
}

// What a device has counted it goes on having counted, until it begins anew.
void RecordWatch::check_share(const dht::Record& record, const dht::Entry& entry) {
  findings_.look(Invariant::counters_are_exact);
  const dht::Share share = dht::read_share(entry.bytes);
  dht::Sums& last = shares_[{record.tag(), share.birth}];
  if (share.sums.increments < last.increments || share.sums.decrements < last.decrements) {
    findings_.add({Invariant::counters_are_exact}, fmt::format("a device's share of {} fell", record.key()));
  }
  last = share.sums;
}

void RecordWatch::on_durable(std::size_t device, dht::MemoryStore& store) {
  const auto state = store.author_state();
  if (!state) return;
  const dht::Actor actor{.author = mesh_.at(device).signatures().signing_key(), .run = state->run};
  const auto run = runs_.find(dht::tag_of(actor));
  if (run == runs_.end()) return;
  findings_.look(Invariant::seqs_are_reserved);
  if (run->second.issued > state->reserved) {
    findings_.add({Invariant::seqs_are_reserved},
                  fmt::format("device {} has used seqs above the one that it has reserved", device));
  }
}

void RecordWatch::on_replaced(std::size_t device) {
  for (auto& [tag, run] : runs_) run.has_ended |= run.device == device;
  for (auto held = held_.lower_bound({device, {}}); held != held_.end() && held->first.first == device;) {
    held = held_.erase(held);
  }
}

// ---- what is kept

void RecordWatch::on_committed(std::size_t device, const dht::KeyHash& key, const dht::Rows& rows) {
  for (const dht::Row& row : rows) {
    if (!row.is_own) check_origin(device, row.record);
  }
  check_form(device, rows);
  check_progress(device, key, rows);
}

// Every record is, byte for byte, one that its author has made durable.
void RecordWatch::check_origin(std::size_t device, const dht::Record& record) {
  findings_.look(Invariant::nothing_is_forged);
  const auto authored = authored_.find({record.tag(), record.seq()});
  if (authored == authored_.end()) {
    findings_.add({Invariant::nothing_is_forged, Invariant::durable_when_acknowledged},
                  fmt::format("device {} keeps a record of {} that its author's disk never had", device, record.key()));
  } else if (authored->second != hash_of(record.bytes())) {
    findings_.add({Invariant::nothing_is_forged, Invariant::dots_are_unique},
                  fmt::format("device {} keeps a record of {} that its author did not write", device, record.key()));
  }
}

// No row is left that another one leaves no place for.
void RecordWatch::check_form(std::size_t device, const dht::Rows& rows) {
  findings_.look(Invariant::merge_is_closed);
  for (const dht::Row& newer : rows) {
    for (const dht::Row& older : rows) {
      const bool is_left = newer.is_replica && older.is_replica && dht::supersedes(newer.record, older.record);
      if (!is_left) continue;
      findings_.add({Invariant::merge_is_closed},
                    fmt::format("device {} keeps a record of {} beside what replaces it", device, older.record.key()));
    }
  }
}

// Merge only adds to what is known: a device never goes back to rows that it had replaced, unless it had let all of
// them go in between. Two that overwrote each other's rows would repair them for ever.
void RecordWatch::check_progress(std::size_t device, const dht::KeyHash& key, const dht::Rows& rows) {
  findings_.look(Invariant::repaired_once);
  const std::uint64_t state = state_of(rows);
  if (state == 0) {
    held_.erase({device, key});
    return;
  }
  Held& held = held_[{device, key}];
  if (state == held.last) return;
  held.last = state;
  if (held.all.insert(state).second) return;
  findings_.add({Invariant::repaired_once}, fmt::format("device {} went back to rows of {} that it had replaced",
                                                        device, rows.front().record.key()));
}

// ---- what is confirmed

void RecordWatch::on_arrival(std::size_t from, std::size_t to, const dht::Message& message) {
  const auto* store = std::get_if<dht::Store>(&message.body);
  if (store == nullptr) return;
  const bool may_be_from_memory = store->is_write_back && store->purpose == dht::StorePurpose::write && !store->hint;
  std::vector<dht::KeyHash> keys;
  for (const crypto::Bytes& bytes : store->records) {
    const auto record = dht::Record::parse(bytes);
    if (!record) continue;
    // The only namespace whose policy may say so (clients.cpp).
    if (may_be_from_memory && record->key().starts_with("siblings/")) return;
    keys.push_back(record->key_hash());
  }
  if (keys.size() == store->records.size()) {
    stored_[{to, from, mesh_.at(from).boots(), message.request_id}] = std::move(keys);
  }
}

// What is confirmed is on the disk. Answers that wait for a commit leave in the moment of it, before anything else can
// be written.
void RecordWatch::on_sent(std::size_t from, std::size_t to, const dht::Message& message) {
  const auto* reply = std::get_if<dht::StoreReply>(&message.body);
  if (reply == nullptr) return;
  const auto stored = stored_.extract({from, to, mesh_.at(to).boots(), message.request_id});
  if (stored.empty() || stored.mapped().size() != reply->answers.size()) return;
  for (std::size_t i = 0; i < reply->answers.size(); ++i) {
    if (reply->answers[i].status == dht::StoreStatus::refused) continue;
    findings_.look(Invariant::durable_when_acknowledged);
    if (mesh_.at(from).store().read(stored.mapped()[i]).is_committed) continue;
    findings_.add({Invariant::durable_when_acknowledged},
                  fmt::format("device {} confirms a record that is not on its disk yet", from));
  }
}

void RecordWatch::on_note(std::size_t device, const std::optional<dht::Note>& before, const dht::Note& after) {
  findings_.look(Invariant::reap_marks_rise);
  if (!before || (before->first <= after.first && before->second <= after.second)) return;
  findings_.add({Invariant::reap_marks_rise},
                fmt::format("device {} has lowered its mark of what was reaped of a key", device));
}

}  // namespace kith::sim
