// SPDX-License-Identifier: MIT
#include "tests/sim/strong_clients.h"

#include <fmt/format.h>

#include <algorithm>

#include "dht/replication/policies.h"

namespace kith::sim {

namespace {

using std::chrono::milliseconds;
using Kind = RegisterOperation::Kind;
using Outcome = RegisterOperation::Outcome;

constexpr std::size_t clients_count = 5;
constexpr std::uint64_t keys_count = 3;
constexpr std::size_t steps_max = 2'000'000;
constexpr const char* name = "strong";

crypto::Bytes bytes_of(std::uint64_t value) {
  crypto::Bytes bytes(8);
  crypto::store_be64(bytes.data(), value);
  return bytes;
}

std::uint64_t value_in(const dht::ReadAnswer& answer) {
  if (answer.values.empty() || answer.values.front().kind != dht::EntryKind::value) return 0;
  return crypto::load_be64(answer.values.front().bytes.data());
}

}  // namespace

StrongClients::StrongClients(const Options& options, Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng)
    : options_(options),
      queue_(queue),
      mesh_(mesh),
      findings_(findings),
      rng_(std::move(rng)),
      clients_(clients_count) {}

void StrongClients::schedule(dht::Instant start, dht::Instant end) {
  end_ = end;
  queue_.at(start, [this] { make_namespace(); });
  for (std::size_t client = 0; client < clients_.size(); ++client) {
    clients_[client].device = rng_.below(mesh_.size());
    queue_.at(start + milliseconds(rng_.below(1000)), [this, client] { work(client); });
  }
}

// Until somebody has it: a device that crashes may take it along.
void StrongClients::make_namespace() {
  bool is_there = false;
  for (const std::size_t i : mesh_.members()) is_there |= is_usable(i);
  if (!is_there) {
    Device& device = mesh_.at(mesh_.members()[rng_.below(mesh_.members().size())]);
    dht::PolicyRequest request;
    request.name = name;
    request.must_be_new = true;
    request.conflict = dht::Conflict::strong;
    if (device.is_up())
      asked_[{device.index(), device.set_policy(request)}] = {.boot = device.boots(), .key = {}, .operation = {}};
  }
  if (queue_.now() + milliseconds(500) < end_) queue_.after(milliseconds(500), [this] { make_namespace(); });
}

// It knows that the namespace is a strong one.
bool StrongClients::is_usable(std::size_t device) {
  return mesh_.at(device).is_up() && !mesh_.is_liar(device) && mesh_.at(device).node().policies().has_strong();
}

// ---- asking

void StrongClients::work_later(std::size_t client) {
  queue_.after(milliseconds(10 + rng_.below(400)), [this, client] { work(client); });
}

void StrongClients::work(std::size_t client) {
  if (queue_.now() >= end_) return;
  std::size_t& device = clients_[client].device;
  if (!is_usable(device) || rng_.chance(0.05)) device = rng_.below(mesh_.size());
  if (!is_usable(device)) return work_later(client);
  ask(client, fmt::format("{}/key-{}", name, rng_.below(keys_count)));
}

void StrongClients::ask(std::size_t client, const std::string& key) {
  Asked asked{.client = client, .key = key, .operation = {}};
  asked.operation.began = queue_.now();
  const std::size_t device = clients_[client].device;
  const std::uint64_t dice = rng_.below(100);
  if (dice < 35) return read(std::move(asked), device);
  RegisterOperation& operation = asked.operation;
  operation.kind = dice < 60 ? Kind::write : Kind::compare_and_write;
  const auto known = clients_[client].known.find(key);
  const bool has_version = known != clients_[client].known.end();
  if (operation.kind == Kind::compare_and_write && has_version && rng_.chance(0.7)) {
    operation.expected = known->second.first;
  }
  if (!rng_.chance(0.2)) operation.value = ++last_value_;
  if (operation.value != 0 && rng_.chance(0.15)) asked.ttl_ms = 500 + rng_.below(5000);
  write(std::move(asked), device);
}

void StrongClients::read(Asked asked, std::size_t device) {
  dht::GetRequest request;
  request.key = asked.key;
  if (asked.is_final) request.deadline = std::chrono::seconds(10);  // all ask at once, and of slow disks
  asked.boot = mesh_.at(device).boots();
  asked.operation.began = queue_.now();
  const dht::Ticket ticket = mesh_.at(device).get(request);
  asked_[{device, ticket}] = std::move(asked);
}

void StrongClients::write(Asked asked, std::size_t device) {
  const RegisterOperation& operation = asked.operation;
  dht::PutRequest request;
  request.key = asked.key;
  request.kind = operation.value == 0 ? dht::EntryKind::tombstone : dht::EntryKind::value;
  if (operation.value != 0) request.value = bytes_of(operation.value);
  if (asked.ttl_ms != 0) request.ttl_ms = asked.ttl_ms;
  if (operation.kind == Kind::compare_and_write) {
    request.condition = operation.expected == 0 ? dht::Condition::absent : dht::Condition::version;
    if (operation.expected != 0) request.token = clients_[asked.client].known[asked.key].second;
  }
  asked.boot = mesh_.at(device).boots();
  const dht::Ticket ticket = mesh_.at(device).put(std::move(request));
  asked_[{device, ticket}] = std::move(asked);
}

void StrongClients::read_everything() {
  for (const std::size_t device : mesh_.members()) {
    for (const auto& [key, history] : histories_) {
      if (!is_usable(device)) continue;
      Asked asked{.key = key, .operation = {}, .is_final = true};
      queue_.after(milliseconds(rng_.below(3000)), [this, again = std::move(asked), device] { read(again, device); });
    }
  }
}

// ---- hearing

bool StrongClients::complete(std::size_t device, const dht::Completion& completion) {
  const auto found = asked_.find({device, completion.ticket});
  if (found == asked_.end() || found->second.boot != mesh_.at(device).boots()) return false;
  Asked asked = std::move(found->second);
  asked_.erase(found);
  if (asked.key.empty()) return true;  // the namespace
  asked.operation.ended = queue_.now();
  const std::size_t client = asked.client;
  const bool goes_on = !asked.is_final;
  asked.operation.kind == Kind::read ? finish_read(std::move(asked), completion)
                                     : finish_write(std::move(asked), completion);
  if (goes_on) work_later(client);
  return true;
}

void StrongClients::finish_read(Asked asked, const dht::Completion& completion) {
  const auto* answer = std::get_if<dht::ReadAnswer>(&completion.outcome);
  if (answer == nullptr) {
    counts_.unavailable += 1;
    const std::string why = std::get<dht::Error>(completion.outcome).message;
    if (asked.is_final && !was_wiped_)
      findings_.add({Invariant::replicas_converge}, asked.key + " could not be read after healing: " + why);
    return;
  }
  counts_.done += 1;
  asked.operation.value = value_in(*answer);
  if (asked.operation.value != 0 && !asked.is_final) {
    clients_[asked.client].known[asked.key] = {asked.operation.value, answer->version};
  }
  note(asked);
}

void StrongClients::finish_write(Asked asked, const dht::Completion& completion) {
  if (const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome)) {
    counts_.done += 1;
    if (asked.operation.value != 0) {
      clients_[asked.client].known[asked.key] = {asked.operation.value, receipt->version};
    }
    const bool has_written = receipt->revision > 0 && receipt->seq != 0;
    if (has_written) {
      revised_[asked.key].push_back({receipt->revision, asked.operation.began, asked.operation.ended});
    }
    note(asked);
    return note_expiry(asked);
  }
  switch (std::get<dht::Error>(completion.outcome).code) {
    case dht::ErrorCode::conflict:
      counts_.refused += 1;
      asked.operation.outcome = Outcome::refused;
      return note(asked);
    case dht::ErrorCode::unavailable:
      counts_.unavailable += 1;
      return;
    default:
      counts_.unknown += 1;
      asked.operation.outcome = Outcome::unknown;
      note(asked);
      note_expiry(asked);
  }
}

void StrongClients::note(const Asked& asked) { histories_[asked.key].push_back(asked.operation); }

// As if somebody took the value away when its time is over, by whatever clock, or did not get to it.
void StrongClients::note_expiry(const Asked& asked) {
  if (asked.ttl_ms == 0) return;
  const bool is_any_clock_wrong = options_.clock_steps > 0;
  const auto early = is_any_clock_wrong ? milliseconds(asked.ttl_ms)
                                        : 2 * std::chrono::duration_cast<milliseconds>(options_.clock_offset_max);
  const milliseconds life = std::max(milliseconds(asked.ttl_ms) - early, milliseconds(0));
  histories_[asked.key].push_back({.kind = Kind::compare_and_write,
                                   .outcome = Outcome::unknown,
                                   .value = 0,
                                   .expected = asked.operation.value,
                                   .seen = {},
                                   .began = asked.operation.began + life});
}

void StrongClients::on_crash(std::size_t device) {
  for (auto at = asked_.lower_bound({device, 0}); at != asked_.end() && at->first.first == device;) {
    Asked asked = std::move(at->second);
    at = asked_.erase(at);
    if (asked.key.empty() || asked.is_final) continue;
    if (asked.operation.kind != Kind::read) {
      counts_.unknown += 1;
      asked.operation.outcome = Outcome::unknown;
      note(asked);
      note_expiry(asked);
    }
    work_later(asked.client);
  }
}

// ---- checking

void StrongClients::check() {
  for (auto& [key, history] : histories_) {
    const Verdict verdict = check_linearizable(history, steps_max);
    if (verdict.kind == Verdict::Kind::undecided) counts_.undecided += 1;
    look(history);
    if (verdict.kind == Verdict::Kind::violated) {
      findings_.add({Invariant::strong_is_linearizable, Invariant::seen_stays_seen, Invariant::refused_never_lands},
                    fmt::format("the history of {} is not linearizable: {}", key, verdict.detail));
    }
    check_revisions(key);
  }
}

std::vector<std::string> StrongClients::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, history] : histories_) keys.push_back(key);
  return keys;
}

// All of them must fit into one order, and each thing that was seen says what that order has before it.
void StrongClients::look(const std::vector<RegisterOperation>& history) {
  for (const RegisterOperation& operation : history) {
    findings_.look(Invariant::strong_is_linearizable);
    const bool is_refused = operation.outcome == Outcome::refused;
    if (is_refused) findings_.look(Invariant::refused_never_lands);
    if (is_refused || operation.kind == Kind::read) findings_.look(Invariant::seen_stays_seen);
  }
}

// Revisions serve as fencing tokens: each write has its own, and a later one a greater one.
void StrongClients::check_revisions(const std::string& key) {
  std::vector<Revised>& writes = revised_[key];
  std::ranges::sort(writes, {}, &Revised::revision);
  const Revised* last_begun = writes.empty() ? nullptr : &writes.front();
  for (std::size_t i = 1; i < writes.size(); ++i) {
    if (writes[i].revision == writes[i - 1].revision) {
      findings_.add({Invariant::strong_is_linearizable},
                    fmt::format("two writes of {} have revision {}", key, writes[i].revision));
    }
    if (writes[i].ended < last_begun->began) {
      findings_.add({Invariant::strong_is_linearizable},
                    fmt::format("a write of {} has revision {} and was over before that with {} began", key,
                                writes[i].revision, last_begun->revision));
    }
    if (last_begun->began < writes[i].began) last_begun = &writes[i];
  }
}

}  // namespace kith::sim
