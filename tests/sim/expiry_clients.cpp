// SPDX-License-Identifier: MIT
#include "tests/sim/expiry_clients.h"

#include <algorithm>
#include <iterator>

namespace kith::sim {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t keys_count = 3;

std::string name_of(std::size_t key) { return fmt::format("default/mortal-{}", key); }

crypto::Bytes value_of(std::size_t key, std::size_t write) {
  const std::string text = fmt::format("mortal {} {}", key, write);
  return {text.begin(), text.end()};
}

}  // namespace

ExpiryClients::ExpiryClients(const Options& options, Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng)
    : options_(options), queue_(queue), mesh_(mesh), findings_(findings), rng_(std::move(rng)), keys_(keys_count) {}

void ExpiryClients::schedule(dht::Instant start, dht::Instant end) {
  end_ = end;
  for (std::size_t key = 0; key < keys_.size(); ++key) {
    keys_[key].device = rng_.below(mesh_.size());
    if (mesh_.is_liar(keys_[key].device)) keys_[key].device = 0;
    queue_.at(start + milliseconds(rng_.below(2000)), [this, key] { work(key); });
  }
}

std::vector<std::string> ExpiryClients::keys() const {
  std::vector<std::string> names;
  for (std::size_t key = 0; key < keys_.size(); ++key) {
    if (!keys_[key].writes.empty()) names.push_back(name_of(key));
  }
  return names;
}

// ---- asking

void ExpiryClients::work(std::size_t key) {
  if (queue_.now() >= end_) return;
  queue_.after(milliseconds(300 + rng_.below(1500)), [this, key] { work(key); });
  const std::size_t reader = rng_.below(mesh_.size());
  const bool is_writing = rng_.chance(0.4);
  const bool can_write = mesh_.at(keys_[key].device).is_up() && !keys_[key].is_busy;
  if (is_writing && can_write) return write(key);
  if (mesh_.at(reader).is_up()) read(key, reader, false);
}

void ExpiryClients::write(std::size_t key) {
  Device& device = mesh_.at(keys_[key].device);
  std::vector<Written>& writes = keys_[key].writes;
  dht::PutRequest request;
  request.key = name_of(key);
  request.value = value_of(key, writes.size() + 1);
  request.ttl_ms = rng_.chance(0.7) ? 1000 + rng_.below(15'000) : 0;
  writes.push_back({.expires_ms = *request.ttl_ms == 0 ? 0 : device.now().wall_ms + *request.ttl_ms});
  keys_[key].is_busy = true;
  const Asked asked{.key = key, .boot = device.boots(), .write = writes.size(), .began = queue_.now()};
  asked_[{device.index(), device.put(std::move(request))}] = asked;
}

void ExpiryClients::read(std::size_t key, std::size_t reader, bool is_final) {
  Device& device = mesh_.at(reader);
  dht::GetRequest request;
  request.key = name_of(key);
  if (is_final) request.r = options_.n;
  const Asked asked{
      .key = key, .boot = device.boots(), .began = queue_.now(), .wall_ms = device.now().wall_ms, .is_final = is_final};
  asked_[{reader, device.get(request)}] = asked;
}

void ExpiryClients::read_everything() {
  for (std::size_t key = 0; key < keys_.size(); ++key) {
    if (keys_[key].writes.empty()) continue;
    queue_.after(milliseconds(rng_.below(3000)), [this, key] {
      const std::vector<std::size_t> members = mesh_.members();
      const std::size_t reader = members[rng_.below(members.size())];
      if (mesh_.at(reader).is_up()) read(key, reader, true);
    });
  }
}

void ExpiryClients::on_crash(std::size_t device) {
  for (auto at = asked_.lower_bound({device, 0}); at != asked_.end() && at->first.first == device;) {
    if (at->second.write != 0) keys_[at->second.key].is_busy = false;
    at = asked_.erase(at);
  }
}

// ---- hearing

bool ExpiryClients::complete(std::size_t device, const dht::Completion& completion) {
  const auto found = asked_.find({device, completion.ticket});
  if (found == asked_.end() || found->second.boot != mesh_.at(device).boots()) return false;
  const Asked asked = found->second;
  asked_.erase(found);
  if (asked.write != 0) {
    finish_write(asked, device, std::get_if<dht::Receipt>(&completion.outcome));
  } else if (const auto* answer = std::get_if<dht::ReadAnswer>(&completion.outcome)) {
    finish_read(asked, device, *answer);
  }
  return true;
}

void ExpiryClients::finish_write(const Asked& asked, std::size_t device, const dht::Receipt* receipt) {
  Key& key = keys_[asked.key];
  key.is_busy = false;
  if (receipt == nullptr) return;
  Written& written = key.writes[asked.write - 1];
  written.is_acknowledged = true;
  written.is_weak = receipt->copies < 2;
  told_[{device, asked.boot, asked.key}][queue_.now()] = asked.write;
}

void ExpiryClients::finish_read(const Asked& asked, std::size_t device, const dht::ReadAnswer& answer) {
  // Its clock may have been set back meanwhile.
  const dht::WallMs wall_ms = mesh_.at(device).now().wall_ms;
  const std::size_t newest = newest_in(asked, answer, std::min(asked.wall_ms, wall_ms));
  if (asked.is_final) return check_final(asked, newest, wall_ms);
  // Who was away for long tells nothing until it has asked the others.
  if (!answer.degraded && !options_.has_long_absence) check_order(asked, device, newest);
}

std::size_t ExpiryClients::newest_in(const Asked& asked, const dht::ReadAnswer& answer, dht::WallMs wall_ms) {
  const std::vector<Written>& writes = keys_[asked.key].writes;
  std::size_t newest = 0;
  for (const dht::ReadValue& value : answer.values) {
    if (value.kind != dht::EntryKind::value) continue;
    std::size_t write = writes.size();
    while (write > 0 && value.bytes != value_of(asked.key, write)) write -= 1;
    newest = std::max(newest, write);
    findings_.look(Invariant::expired_stays_gone);
    if (write == 0) {
      findings_.add({Invariant::nothing_is_forged}, answer.key + " was served a value that nobody wrote there");
      continue;
    }
    const bool is_mortal = writes[write - 1].expires_ms != 0;
    if (is_mortal != (value.expires_ms != 0)) {
      findings_.add({Invariant::expired_stays_gone}, fmt::format("write {} of {} has another end", write, answer.key));
    }
    if (is_mortal && value.expires_ms <= wall_ms) {
      findings_.add({Invariant::expired_stays_gone}, fmt::format("write {} of {} is shown {} ms after its end", write,
                                                                 answer.key, wall_ms - value.expires_ms));
    }
  }
  return newest;
}

// Nothing is shown that came before what this device has shown already, expired or not. A disk that was lost may have
// had the only copy.
void ExpiryClients::check_order(const Asked& asked, std::size_t device, std::size_t newest) {
  std::map<dht::Instant, std::size_t>& told = told_[{device, asked.boot, asked.key}];
  const auto later = told.lower_bound(asked.began);
  const std::size_t last = later == told.begin() ? 0 : std::prev(later)->second;
  findings_.look(Invariant::expired_stays_gone);
  if (newest != 0 && newest < last && wiped_.empty()) {
    findings_.add(
        {Invariant::expired_stays_gone, Invariant::replaced_stays_gone},
        fmt::format("{} shows write {} at device {} again, after {}", name_of(asked.key), newest, device, last));
  }
  const std::size_t so_far = told.empty() ? 0 : told.rbegin()->second;
  if (newest > so_far) told[queue_.now()] = newest;
}

void ExpiryClients::check_final(const Asked& asked, std::size_t newest, dht::WallMs wall_ms) {
  const Key& key = keys_[asked.key];
  std::size_t last = key.writes.size();
  const auto binds = [&](const Written& written) {
    return written.is_acknowledged && !(written.is_weak && !wiped_.empty());
  };
  while (last > 0 && !binds(key.writes[last - 1])) last -= 1;
  if (last == 0) return;
  findings_.look(Invariant::expired_stays_gone);
  findings_.look(Invariant::acknowledged_stays);
  const bool is_forgetful = wiped_.contains(key.device);  // it may not know what it replaces
  if (newest != 0 && newest < last && !is_forgetful) {
    findings_.add(
        {Invariant::expired_stays_gone},
        fmt::format("{} shows write {} after healing, and {} had replaced it", name_of(asked.key), newest, last));
  }
  const auto apart = static_cast<dht::WallMs>(2 * options_.clock_offset_max.count() / 1000);
  const bool must_live =
      std::all_of(key.writes.begin() + static_cast<std::ptrdiff_t>(last) - 1, key.writes.end(),
                  [&](const Written& each) { return each.expires_ms == 0 || each.expires_ms > wall_ms + apart; });
  if (must_live && newest < last) {
    findings_.add({Invariant::acknowledged_stays},
                  fmt::format("write {} of {} was acknowledged and is lost", last, name_of(asked.key)));
  }
}

}  // namespace kith::sim
