// SPDX-License-Identifier: MIT
// A device that watches, the devices that hold what it watches, and the messages between them: delivered, or lost, as
// the test says.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dht/watch/publisher.h"
#include "dht/watch/watches.h"
#include "tests/support/replication.h"

namespace kith::test {

using namespace dht;

struct Holder : Bench {
  explicit Holder(std::uint8_t number) : Bench(number) { neighbours.self_id = node(number); }

  const NodeId& id() const { return neighbours.self_id; }

  // As if it had been replicated: whoever wrote it.
  void store_row(const Record& record) {
    Rows rows = store.read(record.key_hash()).rows;
    merge_record(rows, record);
    store.replace(record.key_hash(), std::move(rows));
    Turn at = turn();
    publisher.on_changed(at, {record.key_hash()});
  }

  Publisher publisher{1};
};

class Watching {
 public:
  explicit Watching(std::size_t holders = 3) : writer(9) {
    watcher.neighbours.self_id = node(8);
    watcher.neighbours.set = {};
    for (std::size_t i = 0; i < holders; ++i) {
      holders_.push_back(std::make_unique<Holder>(static_cast<std::uint8_t>(i + 1)));
      watcher.neighbours.set.replicas.push_back(holders_.back()->id());
    }
  }

  Holder& at(std::size_t index) { return *holders_[index]; }

  Ticket open(std::string target, std::vector<WatchRequest::Seen> seen = {}, std::size_t credit = 100) {
    WatchRequest request;
    request.is_prefix = target.ends_with('/');
    request.target = std::move(target);
    request.seen = std::move(seen);
    request.credit = credit;
    Turn turn = watcher.turn();
    const Ticket ticket = watches.open(turn, request);
    settle();
    return ticket;
  }

  // Written by one author, at these holders; at all where none is named.
  Record write(std::string_view key, std::string_view value, const std::vector<std::size_t>& where = {},
               WallMs life_ms = 0) {
    return keep(
        key,
        {.key = key, .value = crypto::as_bytes(value), .expires_ms = life_ms > 0 ? watcher.now.wall_ms + life_ms : 0},
        where);
  }
  // Written, and at no holder yet.
  Record author_row(std::string_view key, std::string_view value) {
    return author(key, {.key = key, .value = crypto::as_bytes(value)});
  }
  Record remove(std::string_view key) { return keep(key, {.key = key, .kind = EntryKind::tombstone, .value = {}}, {}); }

  // Until nothing is on its way.
  void settle() {
    for (bool is_quiet = false; !is_quiet;) {
      is_quiet = true;
      Turn turn = watcher.turn();
      watches.tend(turn, Watches::Which::due, [&](const Feed::Target&) { return watcher.neighbours.set.replicas; });
      watches.settle(turn);
      for (const Watches::Wanted& wanted : watches.take_wanted()) is_quiet = !read(wanted) && is_quiet;
      watches.settle(turn);
      for (const Send& send : std::exchange(watcher.out.sends, {})) is_quiet = !carry_out(send) && is_quiet;
      for (auto& holder : holders_) {
        is_quiet = !look_further(*holder) && is_quiet;
        for (const Send& send : std::exchange(holder->out.sends, {})) is_quiet = !carry_back(*holder, send) && is_quiet;
      }
    }
  }

  void run(Duration time) {
    for (const Instant end = watcher.now.instant + time; watcher.now.instant < end;) {
      pass(watcher, 50ms);
      for (const auto& silent : watcher.requests.on_deadline(watcher.now, watcher.out)) {
        watches.on_silence(watcher.now.instant, silent.node, silent.owner);
      }
      Turn turn = watcher.turn();
      watches.on_deadline(turn);
      for (auto& holder : holders_) run_holder(*holder);
      settle();
    }
  }

  // It wants to be woken later, not at once and for ever.
  bool is_at_rest() const {
    const auto due = watches.next_deadline();
    return !due || *due > watcher.now.instant;
  }

  // What was told since the last look: "key=value", "key gone", "current".
  std::vector<std::string> told() {
    std::vector<std::string> texts;
    for (const Change& change : std::exchange(watcher.out.changes, {})) texts.push_back(text_of(change));
    return texts;
  }

  std::function<bool(const NodeId& to, const Body&)> passes = [](auto&...) { return true; };
  std::function<std::vector<std::size_t>()> readable;  // which holders a read asks; all unless said

  bool is_degraded = false;  // what reads are
  Conflict conflict = Conflict::newest;

  Bench watcher{8};
  Watches watches{DataKey{}, 0};
  Bench writer;
  std::size_t reads = 0;

 private:
  Record keep(std::string_view key, const WriteIntent& intent, std::vector<std::size_t> where) {
    const Record record = author(key, intent);
    for (std::size_t i = 0; where.empty() && i < holders_.size(); ++i) {
      holders_[i]->store_row(record);
    }
    for (const std::size_t i : where) holders_[i]->store_row(record);
    settle();
    return record;
  }

  Record author(std::string_view key, const WriteIntent& intent) {
    const KeyHash hash = hash_key(key);
    Rows rows = writer.store.read(hash).rows;
    writer.now = watcher.now;
    auto authored = writer.author.write(intent, rows, VersionVector{}, writer.now.wall_ms);
    merge_own(rows, authored->record, OwnPlacement::author_and_replica);
    writer.store.replace(hash, std::move(rows));
    return authored->record;
  }

  // The next page of what is here.
  static bool look_further(Holder& holder) {
    const auto due = holder.publisher.next_deadline();
    if (!due || *due > holder.now.instant) return false;
    Turn turn = holder.turn();
    holder.publisher.on_deadline(turn);
    return true;
  }

  static void pass(Bench& bench, Duration time) {
    bench.now.instant += time;
    bench.now.wall_ms += static_cast<WallMs>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  }

  void run_holder(Holder& holder) {
    pass(holder, 50ms);
    Turn turn = holder.turn();
    for (const auto& silent : holder.requests.on_deadline(holder.now, holder.out)) {
      holder.publisher.on_silence(turn, silent.owner);
    }
    holder.publisher.on_deadline(turn);
  }

  // All of these have what the read shows.
  bool read(const Watches::Wanted& wanted) {
    Rows merged;
    reads += 1;
    std::vector<std::size_t> asked;
    for (std::size_t i = 0; i < holders_.size(); ++i) asked.push_back(i);
    if (readable) asked = readable();
    for (const std::size_t i : asked) {
      for (const Row& row : at(i).store.read(wanted.key).rows) merge_record(merged, row.record);
    }
    ReadAnswer answer{.key = wanted.name, .values = {}, .version = {}, .degraded = is_degraded, .conflict = conflict};
    for (const Row& row : merged) {
      for (std::size_t i = 0; i < row.record.entry_count(); ++i) {
        const Entry entry = row.record.entry(i);
        const bool has_expired = entry.expires_ms > 0 && entry.expires_ms <= watcher.now.wall_ms;
        if (has_expired) continue;
        answer.values.push_back({.bytes = {entry.bytes.begin(), entry.bytes.end()},
                                 .kind = entry.kind,
                                 .expires_ms = entry.expires_ms,
                                 .author = {},
                                 .seq = entry.seq});
      }
    }
    std::ranges::sort(answer.values, std::greater(), &ReadValue::seq);
    answer.version = seal_token(joined_context(merged), wanted.key, DataKey{});
    const Ticket ticket = ++last_read_;
    watches.started(ticket, wanted);
    Turn turn = watcher.turn();
    watches.on_read(turn, {.ticket = ticket, .outcome = std::move(answer), .partial = {}});
    return true;
  }

  bool carry_out(const Send& send) {
    watcher.requests.left(watcher.now.instant, send.message.request_id);
    const auto holder = std::ranges::find(holders_, send.to, [](const auto& each) { return each->id(); });
    if (!passes(send.to, send.message.body)) return false;
    const auto* watch = std::get_if<Watch>(&send.message.body);
    if (watch == nullptr) return false;
    Turn turn = (*holder)->turn();
    const WatchReply reply = (*holder)->publisher.on_watch(turn, watcher.neighbours.self_id, *watch);
    if (!passes(watcher.neighbours.self_id, reply)) return true;
    const auto answered = watcher.requests.answer(watcher.now.instant, send.to, send.message.request_id);
    Turn here = watcher.turn();
    if (answered) watches.on_reply(here, send.to, answered->owner, reply);
    return true;
  }

  bool carry_back(Holder& holder, const Send& send) {
    holder.requests.left(holder.now.instant, send.message.request_id);
    if (!passes(send.to, send.message.body)) return false;
    const auto* changed = std::get_if<Changed>(&send.message.body);
    if (changed == nullptr) return false;
    const ChangedReply reply = watches.on_changed(holder.id(), *changed);
    const auto answered = holder.requests.answer(holder.now.instant, send.to, send.message.request_id);
    Turn turn = holder.turn();
    if (answered) holder.publisher.on_reply(turn, answered->owner, reply);
    return true;
  }

  static std::string text_of(const Change& change) {
    if (change.kind == Change::Kind::current) return "current";
    if (change.kind == Change::Kind::absent) return change.answer.key + " gone";
    const crypto::Bytes& bytes = change.answer.values.front().bytes;
    return change.answer.key + "=" + std::string(bytes.begin(), bytes.end());
  }

  std::vector<std::unique_ptr<Holder>> holders_;
  Ticket last_read_ = 0;
};

}  // namespace kith::test
