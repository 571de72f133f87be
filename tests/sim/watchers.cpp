// SPDX-License-Identifier: MIT
#include "tests/sim/watchers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "dht/model/key.h"

namespace kith::sim {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t watchers_count = 4;
constexpr std::size_t credit_first = 3;

// As a reader sees it: where the newest is shown, one, or none where that is a delete.
std::vector<dht::Seq> shown_in(const dht::ReadAnswer& answer) {
  std::vector<dht::Seq> shown;
  for (const dht::ReadValue& value : answer.values) {
    if (value.kind != dht::EntryKind::tombstone) shown.push_back(value.seq);
    if (answer.conflict == dht::Conflict::newest) break;
  }
  return shown;
}

}  // namespace

Watchers::Watchers(Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng)
    : queue_(queue), mesh_(mesh), findings_(findings), rng_(std::move(rng)) {}

void Watchers::schedule(dht::Instant start, const std::vector<std::string>& targets) {
  watchers_.resize(watchers_count);
  for (std::size_t number = 0; number < watchers_.size(); ++number) {
    watchers_[number].target = targets[rng_.below(targets.size())];
    queue_.at(start + milliseconds(rng_.below(20'000)), [this, number] { tend(number); });
  }
}

// For ever: a watcher without a watch opens one.
void Watchers::tend(std::size_t number) {
  if (watchers_[number].ticket == 0) open(number);
  queue_.after(milliseconds(200 + rng_.below(800)), [this, number] { tend(number); });
}

void Watchers::open(std::size_t number) {
  Watcher& watcher = watchers_[number];
  const std::vector<std::size_t> members = mesh_.members();
  watcher.device = members[rng_.below(members.size())];
  Device& device = mesh_.at(watcher.device);
  if (!device.is_up() || mesh_.is_liar(watcher.device)) return;
  dht::WatchRequest request;
  request.target = watcher.target;
  request.is_prefix = watcher.target.ends_with('/');
  request.credit = credit_first;
  // Of what was gone a client keeps nothing.
  std::erase_if(watcher.told, [](const auto& each) { return each.second.shown.empty(); });
  for (const auto& [key, told] : watcher.told) request.seen.push_back({.key = key, .token = told.token});
  watcher.boot = device.boots();
  watcher.is_current = false;
  watcher.ticket = device.watch(std::move(request));
}

void Watchers::on_crash(std::size_t device) {
  for (Watcher& watcher : watchers_) {
    if (watcher.device != device || watcher.ticket == 0) continue;
    watcher.ticket = 0;
    counts_.resumed += 1;
  }
  std::erase_if(reads_, [&](const auto& each) { return each.first.first == device; });
}

// ---- what is told

Watchers::Watcher* Watchers::find(std::size_t device, dht::Ticket ticket) {
  const auto found = std::ranges::find_if(watchers_, [&](const Watcher& watcher) {
    return watcher.ticket == ticket && watcher.device == device && watcher.boot == mesh_.at(device).boots();
  });
  return found == watchers_.end() ? nullptr : &*found;
}

void Watchers::on_change(std::size_t device, const dht::Change& change) {
  Watcher* watcher = find(device, change.watch);
  if (watcher == nullptr) return;
  if (change.kind == dht::Change::Kind::current) {
    watcher->is_current = true;
    return;
  }
  counts_.changes += 1;
  const auto version = dht::open_token(change.answer.version, dht::hash_key(change.answer.key), mesh_data_key());
  if (!version)
    return findings_.add({Invariant::watch_is_gapless},
                         "a watcher was told of " + change.answer.key + " without a version");
  Told now{.version = *version,
           .token = change.answer.version,
           .shown = shown_in(change.answer),
           .conflict = change.answer.conflict};
  const auto number = static_cast<std::size_t>(watcher - watchers_.data());
  check_order(number, *watcher, change, now);
  // A write that came after its last read, as of a liar, whose copies were refused until it read the key itself.
  const auto last = last_.find({number, change.answer.key});
  const bool is_later = last != last_.end() && last->second.version != now.version;
  if (is_later && now.version.covers(last->second.version)) last_.erase(last);
  watcher->told[change.answer.key] = std::move(now);
  queue_.after(milliseconds(rng_.below(500)), [this, device, ticket = change.watch] {
    if (find(device, ticket) != nullptr) mesh_.at(device).grant(ticket, 1);
  });
}

void Watchers::check_order(std::size_t number, const Watcher& watcher, const dht::Change& change, const Told& now) {
  const std::string& key = change.answer.key;
  findings_.look(Invariant::watch_is_gapless);
  const auto complain = [&](const char* what) {
    findings_.add({Invariant::watch_is_gapless}, fmt::format("watcher {} of {} at device {}: {} {}", number,
                                                             watcher.target, watcher.device, key, what));
  };
  if (!is_watched(watcher, key)) complain("is not what it watches");
  const auto before = watcher.told.find(key);
  const bool was_there = before != watcher.told.end() && !before->second.shown.empty();
  if (now.shown.empty() != (change.kind == dht::Change::Kind::absent)) complain("is told as what it is not");
  if (now.shown.empty() && !was_there) complain("is told to be gone, and was not there");
  if (before == watcher.told.end()) return;
  // Nothing may be left of it: it was reaped, or the disks that had it are lost.
  const bool is_older = before->second.version.covers(now.version) && before->second.version != now.version;
  if (is_older && !now.shown.empty()) complain("is told of as it was before");
  if (before->second.version == now.version && before->second.shown == now.shown) complain("is told of twice");
}

bool Watchers::is_watched(const Watcher& watcher, const std::string& key) {
  return watcher.target.ends_with('/') ? key.starts_with(watcher.target) : key == watcher.target;
}

// ---- in the end

void Watchers::read_everything(const std::vector<std::string>& keys) {
  for (std::size_t number = 0; number < watchers_.size(); ++number) {
    for (const std::string& key : keys) {
      if (is_watched(watchers_[number], key))
        queue_.after(milliseconds(rng_.below(3000)), [this, number, key] { read(number, key); });
    }
  }
}

void Watchers::read(std::size_t number, const std::string& key) {
  const Watcher& watcher = watchers_[number];
  if (watcher.ticket == 0) return;
  dht::GetRequest request;
  request.key = key;
  request.r = 16;
  request.deadline = std::chrono::seconds(10);
  const dht::Ticket ticket = mesh_.at(watcher.device).get(request);
  reads_[{watcher.device, ticket}] = {.watcher = number, .key = key, .boot = watcher.boot};
}

bool Watchers::complete(std::size_t device, const dht::Completion& completion) {
  if (const Watcher* watcher = find(device, completion.ticket); watcher != nullptr) {
    const auto* error = std::get_if<dht::Error>(&completion.outcome);
    findings_.add({Invariant::watch_is_gapless}, "the watch of " + watcher->target + " ended: " +
                                                     (error != nullptr ? error->message : "without an error"));
    return true;
  }
  const auto found = reads_.find({device, completion.ticket});
  if (found == reads_.end() || found->second.boot != mesh_.at(device).boots()) return false;
  const Read read = found->second;
  reads_.erase(found);
  const auto* answer = std::get_if<dht::ReadAnswer>(&completion.outcome);
  const auto version =
      answer == nullptr ? std::nullopt : dht::open_token(answer->version, dht::hash_key(answer->key), mesh_data_key());
  if (version)
    last_[{read.watcher, read.key}] = {
        .version = *version, .token = {}, .shown = shown_in(*answer), .conflict = answer->conflict};
  return true;
}

void Watchers::check() {
  for (std::size_t number = 0; number < watchers_.size(); ++number) {
    const Watcher& watcher = watchers_[number];
    if (watcher.ticket == 0)
      findings_.add({Invariant::watch_is_gapless}, fmt::format("watcher {} has no watch after healing", number));
    if (watcher.ticket != 0 && !watcher.is_current) {
      findings_.add({Invariant::watch_is_gapless},
                    fmt::format("watcher {} of {} was never told what was there", number, watcher.target));
    }
  }
  findings_.look(Invariant::watch_is_gapless, last_.size());
  for (const auto& [which, last] : last_) {
    const auto& [number, key] = which;
    const auto told = watchers_[number].told.find(key);
    const Told seen = told == watchers_[number].told.end() ? Told{} : told->second;
    const bool is_lost = was_wiped_ && !last.version.covers(seen.version);
    // Who names a version is taken to have seen what it stands for by the policy of now.
    const bool is_by_another_policy = seen.version == last.version && seen.conflict != last.conflict;
    if (is_lost || is_by_another_policy || seen.shown == last.shown) continue;
    findings_.add({Invariant::watch_is_gapless},
                  fmt::format("watcher {} of {} at device {} saw [{}] of {} last, and there is [{}]", number,
                              watchers_[number].target, watchers_[number].device, fmt::join(seen.shown, ", "), key,
                              fmt::join(last.shown, ", ")));
  }
}

}  // namespace kith::sim
