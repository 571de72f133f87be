// SPDX-License-Identifier: MIT
#include "tests/sim/clients.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dht/replication/policies.h"

namespace kith::sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr dht::Duration ticket_patience = seconds(10);
constexpr std::uint64_t counter_keys = 3;
constexpr const char* siblings = "siblings";  // a namespace that keeps them

// A large mesh bears more; its runs would last too long otherwise.
dht::Duration operation_interval(const Options& options) {
  return options.nodes >= 500 ? dht::Duration(milliseconds(10)) : options.operation_interval;
}

crypto::Rng repeat_rng_of(std::uint64_t seed) {
  std::array<std::uint8_t, 32> bytes{'r', 'e', 'p', 'e', 'a', 't'};
  crypto::store_be64(bytes.data() + 8, seed);
  return crypto::Rng(bytes);
}

// About twenty records.
constexpr std::uint64_t quota_bytes = 6000;

}  // namespace

Clients::Clients(const Options& options, Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng)
    : options_(options),
      queue_(queue),
      mesh_(mesh),
      findings_(findings),
      rng_(std::move(rng)),
      repeat_rng_(repeat_rng_of(options.seed)),
      is_busy_(mesh.size()) {}

dht::Instant Clients::schedule(dht::Instant start, std::function<void(std::size_t)> before_each) {
  before_each_ = std::move(before_each);
  const dht::Duration interval = operation_interval(options_);
  for (int i = 0; i < options_.operations; ++i) {
    const dht::Duration jitter(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(interval.count()))));
    queue_.at(start + i * interval + jitter, [this] { operate(); });
  }
  return start + (options_.operations + 1) * interval + seconds(5);
}

// ---- asking

void Clients::operate() {
  const std::size_t device = any_device();
  if (!mesh_.at(device).is_up()) return;
  before_each_(device);
  const Choice choice = choose(device);
  if (choice.kind == KeyKind::policy) return change_policy(choice);
  if (choice.kind == KeyKind::counter && rng_.chance(0.7)) return count(choice);
  const bool must_read = choice.kind == KeyKind::careful && known_to(choice) == nullptr;
  const bool must_wait = choice.kind == KeyKind::own && is_busy_[device];
  if (must_read || must_wait || choice.kind == KeyKind::counter || rng_.chance(0.35)) {
    read(choice);
  } else {
    write(choice);
  }
}

Clients::Choice Clients::choose(std::size_t device) {
  const auto number = [this] { return rng_.below(static_cast<std::uint64_t>(options_.keys)); };
  const std::size_t client = rng_.below(clients_per_device);
  const std::uint64_t dice = rng_.below(100);
  if (dice < 40) {
    return {device, client, fmt::format("default/own-{}-{}", device, rng_.below(3)), KeyKind::own};
  }
  if (dice < 65) {
    const std::uint64_t key = number();
    return {device, client, fmt::format("{}/shared-{}", key % 2 == 0 ? "default" : siblings, key), KeyKind::shared};
  }
  if (dice < 67) return {device, client, "", KeyKind::policy};
  if (dice < 77) return {device, client, fmt::format("default/counter-{}", rng_.below(counter_keys)), KeyKind::counter};
  return {device, client, fmt::format("default/careful-{}", number()), KeyKind::careful};
}

const Knowledge* Clients::known_to(const Choice& choice) const {
  const auto found = knowledge_.find({choice.device, choice.client, choice.key});
  return found == knowledge_.end() ? nullptr : &found->second;
}

void Clients::write(const Choice& choice) {
  const Knowledge* known = known_to(choice);
  const bool with_version = choice.kind == KeyKind::careful || (choice.kind == KeyKind::shared && rng_.chance(0.4));
  Intent intent{.key = choice.key,
                .kind = choice.kind,
                .device = choice.device,
                .author = mesh_.at(choice.device).id(),
                .is_delete = rng_.chance(0.15),
                .reads_first = false,
                .began = queue_.now(),
                .knowledge = std::nullopt};
  dht::PutRequest request;
  request.key = choice.key;
  request.kind = intent.is_delete ? dht::EntryKind::tombstone : dht::EntryKind::value;
  if (with_version && known != nullptr) {
    intent.knowledge = *known;
    request.token = known->version;
  }
  const bool is_delete = intent.is_delete;
  const bool is_where_read_first = options_.has_quota || request.token.empty();
  intent.reads_first = is_delete || (is_where_read_first && choice.key.starts_with(siblings));
  const std::uint64_t number = history_.begin_write(std::move(intent));
  if (!is_delete) {
    request.kind = History::entry_kind_of(number);
    request.value = History::value_of(number);
  }
  if (choice.kind == KeyKind::own) is_busy_[choice.device] = true;
  const auto seq_before = own_seq(choice.device, choice.key);
  const crypto::Bytes version = request.token;
  const dht::Ticket ticket = mesh_.at(choice.device).put(std::move(request));
  const auto seq = own_seq(choice.device, choice.key);
  if (seq && seq != seq_before) {
    history_.note_seq(number, *seq);
    check_version(choice, version, *seq);
  }
  ask({.device = choice.device, .client = choice.client, .write = number, .key = choice.key, .kind = choice.kind},
      ticket);
}

// Of what its client has read nothing is left beside the new record.
void Clients::check_version(const Choice& choice, const crypto::Bytes& version, dht::Seq seq) {
  const dht::KeyHash key = dht::hash_key(choice.key);
  const auto token = version.empty() ? std::nullopt : dht::open_token(version, key, mesh_data_key());
  if (!token) return;
  findings_.look(Invariant::versions_replace);
  for (const dht::Row& row : mesh_.at(choice.device).store().read(key).rows) {
    if (!row.is_own || row.record.seq() != seq) continue;
    const auto is_replaced = [&](const dht::VersionEntry& read) {
      if (read.tag != row.record.tag()) return row.record.context_at(read.tag) >= read.seq;
      return row.record.entry(0).seq > read.seq;
    };
    if (std::ranges::all_of(token->entries(), is_replaced)) continue;
    findings_.add({Invariant::versions_replace}, "a write of " + choice.key + " leaves what its client had read");
  }
}

// The youngest seq that this device has given to a write of the key.
std::optional<dht::Seq> Clients::own_seq(std::size_t device, const std::string& key) {
  std::optional<dht::Seq> youngest;
  for (const dht::Row& row : mesh_.at(device).store().read(dht::hash_key(key)).rows) {
    if (row.is_own && (!youngest || *youngest < row.record.seq())) youngest = row.record.seq();
  }
  return youngest;
}

void Clients::count(const Choice& choice) {
  using Kind = CounterHistory::Kind;
  const std::uint64_t dice = rng_.below(100);
  const Kind kind = dice < 94 ? Kind::increment : dice < 97 ? Kind::reset : Kind::deletion;
  dht::PutRequest request;
  request.key = choice.key;
  request.kind = kind == Kind::increment ? dht::EntryKind::counter
                 : kind == Kind::reset   ? dht::EntryKind::counter_reset
                                         : dht::EntryKind::tombstone;
  const auto amount = counters_.next_amount(choice.key, rng_.chance(0.25));
  if (!amount) return read(choice);
  request.by = kind == Kind::increment ? *amount : 0;
  if (rng_.chance(0.2)) request.wait = dht::Wait::local;
  if (rng_.chance(0.5)) request.op_id = rng_.bytes<16>();
  const std::uint64_t number = counters_.begin(
      {.key = choice.key, .kind = kind, .by = request.by, .device = choice.device, .began = queue_.now()});
  Asked asked{
      .device = choice.device, .client = choice.client, .write = number, .key = choice.key, .kind = choice.kind};
  if (request.op_id) asked.again = request;
  const dht::Ticket ticket = mesh_.at(choice.device).put(std::move(request));
  ask(std::move(asked), ticket);
}

// The same operation, asked of the same device, which must not have lost what it remembers of it.
void Clients::count_again(Asked asked) {
  crypto::Rng& rng = asked.is_repeat ? repeat_rng_ : rng_;
  queue_.after(milliseconds(200 + rng.below(8000)), [this, again = std::move(asked)] {
    Device& device = mesh_.at(again.device);
    if (!device.is_up() || !mesh_.is_member(again.device) || counters_.was_wiped(again.device)) return;
    findings_.look(Invariant::retries_count_once);
    if (!again.is_repeat) counters_.begin_again(again.write);
    const dht::Ticket ticket = device.put(*again.again);
    ask(again, ticket);
  });
}

// The namespace that keeps siblings is made by many, and now and then; the other one is told of only.
void Clients::change_policy(const Choice& choice) {
  const bool is_first = policies_.last() == 0;
  const auto& known = mesh_.at(choice.device).node().policies().all();
  const auto before = known.find(PolicyHistory::name);
  dht::PolicyRequest request = policies_.begin(choice.device, before == known.end() ? nullptr : &before->second.policy);
  if (is_first || rng_.chance(0.3)) {
    dht::PolicyRequest keeping;
    keeping.name = siblings;
    keeping.must_be_new = true;
    keeping.conflict = dht::Conflict::siblings;
    if (options_.is_cached) keeping.cache = dht::Cache::through;
    if (options_.has_quota) keeping.quota_bytes = quota_bytes;
    if (options_.is_write_back) keeping.durability = dht::Durability::write_back;
    ask({.device = choice.device, .client = choice.client, .key = {}, .kind = choice.kind},
        mesh_.at(choice.device).set_policy(keeping));
  }
  ask({.device = choice.device, .client = choice.client, .write = policies_.last(), .key = {}, .kind = choice.kind},
      mesh_.at(choice.device).set_policy(request));
}

void Clients::check_policies() {
  const std::vector<std::size_t> members = mesh_.members();
  const dht::Policies& first = mesh_.at(members.front()).node().policies();
  for (const std::size_t i : members) {
    if (mesh_.at(i).node().policies().digest() == first.digest()) continue;
    findings_.add({Invariant::replicas_converge},
                  fmt::format("after healing device {} has other policies than device {}", i, members.front()));
  }
  const bool is_promised = keeps_siblings_ && !counters_.was_wiped(*keeps_siblings_);
  if (is_promised && !first.all().contains(siblings))
    findings_.add({Invariant::acknowledged_stays}, "the policy of siblings is lost");
  const auto told = first.all().find(PolicyHistory::name);
  if (const auto wrong = policies_.check_final(told == first.all().end() ? nullptr : &told->second.policy)) {
    findings_.add({Invariant::acknowledged_stays}, *wrong);
  }
}

// Own keys are read by everybody.
void Clients::read(const Choice& choice) {
  dht::GetRequest request;
  request.key = choice.kind == KeyKind::own ? any_own_key() : choice.key;
  ask({.device = choice.device, .client = choice.client, .key = request.key, .kind = choice.kind},
      mesh_.at(choice.device).get(request));
}

std::string Clients::any_own_key() { return fmt::format("default/own-{}-{}", any_device(), rng_.below(3)); }

void Clients::read_everything() {
  for (const std::string& key : keys()) {
    queue_.after(dht::Duration(static_cast<std::int64_t>(rng_.below(5'000'000))), [this, key] {
      dht::GetRequest request;
      request.key = key;
      request.r = options_.n;
      const std::size_t device = any_member();
      const KeyKind kind = key.starts_with("default/counter-") ? KeyKind::counter : history_.kind_of(key);
      ask({.device = device, .key = key, .kind = kind, .is_final = true}, mesh_.at(device).get(request));
    });
  }
}

std::vector<std::string> Clients::keys() const {
  std::vector<std::string> keys = history_.keys();
  const std::vector<std::string> counters = counters_.keys();
  keys.insert(keys.end(), counters.begin(), counters.end());
  return keys;
}

void Clients::ask(Asked asked, dht::Ticket ticket) {
  asked.boot = mesh_.at(asked.device).boots();
  asked.began = queue_.now();
  asked_[{asked.device, ticket}] = std::move(asked);
}

// ---- hearing

bool Clients::complete(std::size_t device, dht::Completion completion) {
  const auto found = asked_.find({device, completion.ticket});
  if (found == asked_.end() || found->second.boot != mesh_.at(device).boots()) {
    findings_.add({}, fmt::format("device {} completed ticket {}, which it had not open", device, completion.ticket));
    return false;
  }
  const Asked asked = std::move(found->second);
  asked_.erase(found);
  if (asked.kind == KeyKind::policy) {
    const bool is_made = std::holds_alternative<dht::PolicyAnswer>(completion.outcome) && !mesh_.is_liar(device);
    if (is_made && asked.write != 0) policies_.acknowledge(asked.write);
    if (is_made && asked.write == 0 && !counters_.was_wiped(device)) keeps_siblings_ = device;
    return is_made;
  }
  if (std::holds_alternative<dht::Error>(completion.outcome)) counts_.errors += 1;
  if (asked.write != 0) {
    return asked.kind == KeyKind::counter ? finish_count(asked, completion) : finish_write(asked, completion);
  }
  finish_read(asked, completion);
  return false;
}

bool Clients::finish_write(const Asked& asked, const dht::Completion& completion) {
  if (asked.kind == KeyKind::own) is_busy_[asked.device] = false;
  const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome);
  if (receipt == nullptr) history_.give_up(asked.write);
  const auto* error = std::get_if<dht::Error>(&completion.outcome);
  if (error != nullptr && error->code == dht::ErrorCode::quota) history_.refuse(asked.write);
  if (receipt == nullptr || mesh_.is_liar(asked.device)) return false;  // a liar's clients have no promise from anybody
  knowledge_[{asked.device, asked.client, asked.key}] =
      history_.acknowledge(asked.write, *receipt, reader(asked.device), queue_.now());
  return true;
}

bool Clients::finish_count(const Asked& asked, const dht::Completion& completion) {
  const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome);
  const bool is_promise = receipt != nullptr && !mesh_.is_liar(asked.device);
  is_promise ? counters_.acknowledge(asked.write, *receipt, queue_.now())
             : counters_.give_up(asked.write, queue_.now());
  const bool may_repeat = is_promise && asked.again && asked.again->kind == dht::EntryKind::counter;
  if (may_repeat && !asked.is_repeat && repeat_rng_.chance(0.3)) {
    Asked repeat = asked;
    repeat.is_repeat = true;
    count_again(std::move(repeat));
  }
  return is_promise;
}

void Clients::finish_read(const Asked& asked, const dht::Completion& completion) {
  const auto* answer = std::get_if<dht::ReadAnswer>(&completion.outcome);
  if (answer == nullptr) {
    if (asked.is_final) findings_.add({Invariant::replicas_converge}, asked.key + " could not be read after healing");
    return;
  }
  counts_.reads += 1;
  if (answer->degraded) counts_.reads_degraded += 1;
  if (asked.kind == KeyKind::counter) return check_counter(asked, *answer);
  const Seen seen{reader(asked.device), asked.kind, asked.began, queue_.now(), *answer};
  knowledge_[{asked.device, asked.client, asked.key}] = history_.observe(seen, findings_);
  if (asked.is_final) {
    if (answer->degraded) findings_.add({Invariant::replicas_converge}, asked.key + " is read degraded after healing");
    history_.check_final(seen, findings_);
  }
}

// A device that was away for long tells nothing until it has asked the others, and a liar's clients are told anything.
void Clients::check_counter(const Asked& asked, const dht::ReadAnswer& answer) {
  if (asked.is_final && answer.degraded)
    findings_.add({Invariant::replicas_converge}, asked.key + " is read degraded after healing");
  if (mesh_.is_liar(asked.device) || (!asked.is_final && options_.has_long_absence)) return;
  const auto wrong =
      asked.is_final ? counters_.check_final(answer) : counters_.check_read(asked.device, asked.began, answer);
  findings_.look(Invariant::counters_are_exact);
  if (asked.is_final) findings_.look(Invariant::acknowledged_stays);
  if (wrong) findings_.add({Invariant::counters_are_exact, Invariant::retries_count_once}, *wrong);
}

void Clients::on_crash(std::size_t device) {
  history_.forgive_crash(queue_.now() - options_.commit_max);
  is_busy_[device] = false;
  for (const auto& [id, asked] : asked_) {
    if (asked.device != device || asked.write == 0) continue;
    if (asked.kind == KeyKind::counter) counters_.give_up(asked.write, queue_.now());
    if (asked.kind == KeyKind::counter && asked.again && asked.boot == mesh_.at(device).boots()) count_again(asked);
    if (asked.kind != KeyKind::counter && asked.kind != KeyKind::policy) history_.give_up(asked.write);
  }
}

void Clients::on_wipe(std::size_t device) {
  history_.forgive_wipe(device);
  counters_.forgive_wipe(device);
  policies_.forgive_wipe(device);
}

std::string Clients::reader(std::size_t device) const {
  return fmt::format("client {} boot {}", device, mesh_.at(device).boots());
}

void Clients::check_tickets() {
  for (const auto& [id, asked] : asked_) {
    Device& device = mesh_.at(asked.device);
    const bool daemon_lives = device.is_up() && device.boots() == asked.boot;
    if (!daemon_lives || asked.began + ticket_patience > queue_.now()) continue;
    findings_.add({}, fmt::format("ticket {} of device {} for {} never completed", id.second, asked.device, asked.key));
  }
}

}  // namespace kith::sim
