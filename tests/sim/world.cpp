// SPDX-License-Identifier: MIT
#include "tests/sim/world.h"

#include <fmt/format.h>

#include <algorithm>

namespace kith::sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr dht::Duration operation_interval = milliseconds(150);
constexpr dht::Duration warm_up = seconds(10);
constexpr dht::Duration ticket_patience = seconds(10);
constexpr dht::Duration calm_for = seconds(40);

// Joined devices come up together, as after a power cut; the others one after the other, each joining those before it.
dht::Duration boot_interval(const Options& options) { return milliseconds(options.starts_joined ? 1 : 20); }

crypto::Rng rng_of(std::uint64_t seed) {
  std::array<std::uint8_t, 32> bytes{'w', 'o', 'r', 'l', 'd'};
  crypto::store_be64(bytes.data() + 8, seed);
  return crypto::Rng(bytes);
}

}  // namespace

World::World(const Options& options) : options_(options), rng_(rng_of(options.seed)), network_(options_, rng_.fork()) {
  const auto count = static_cast<std::size_t>(options_.nodes);
  is_busy_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    devices_.push_back(std::make_unique<Device>(i, options_, queue_, *this, rng_.fork()));
    index_of_[devices_[i]->id()] = i;
  }
}

Report World::run() {
  const auto stop = [this] { return report_.violations.size() >= 5; };
  boot_all();
  schedule_operations();
  schedule_faults();
  queue_.run_until(load_end_, stop);
  heal();
  queue_.run_until(queue_.now() + seconds(120), stop);
  read_everything();
  queue_.run_until(queue_.now() + seconds(20), stop);
  check_replicas_equal();
  check_tickets();
  report_.writes = history_.writes();
  report_.acknowledged = history_.acknowledged();
  mix(queue_.executed());
  return report_;
}

// ---- the mesh

void World::boot_all() {
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    if (options_.starts_joined) {
      for (const auto& other : devices_) {
        if (other->id() == devices_[i]->id()) continue;
        dht::Contact contact;
        contact.signing_key = other->signatures().signing_key();
        contact.exchange_key = other->signatures().exchange_key();
        contact.incarnation = 1;
        contact.endpoints = {Device::endpoint_of(index_of_.at(other->id()))};
        const dht::Contact signed_contact = dht::sign_contact(std::move(contact), other->signatures());
        devices_[i]->store().remember_contact(signed_contact.id, signed_contact.bytes);
      }
      devices_[i]->store().commit();
    }
    queue_.at(dht::Instant(boot_interval(options_) * static_cast<int>(i)), [this, i] {
      devices_[i]->boot();
      if (i > 0 && !options_.starts_joined) devices_[i]->join({devices_[rng_.below(i)]->id(), devices_[0]->id()});
    });
  }
}

void World::send(std::size_t from, const dht::NodeId& to, dht::Message message) {
  const auto found = index_of_.find(to);
  if (found == index_of_.end()) return;
  const std::size_t target = found->second;
  auto shared = std::make_shared<dht::Message>(std::move(message));
  const auto boot = devices_[from]->boots();
  if (from == target) {
    queue_.after({}, [this, from, boot, shared] {
      if (devices_[from]->boots() == boot) deliver(from, from, *shared);
    });
    return;
  }
  note_told(from, *shared);
  if (is_liar(from) && !is_healed_) tell_lies(*shared);
  for (const dht::Instant when : network_.deliveries(queue_.now(), from, target)) {
    queue_.at(when, [this, from, target, shared] { deliver(from, target, *shared); });
  }
}

void World::deliver(std::size_t from, std::size_t to, const dht::Message& message) {
  if (network_.is_cut(from, to)) return;
  report_.messages += 1;
  mix(static_cast<std::uint64_t>(queue_.now().time_since_epoch().count()));
  mix((from << 32U) ^ (to << 8U) ^ message.body.index());
  mix(message.request_id);
  devices_[to]->receive(devices_[from]->id(), message);
}

// A liar changes the values it hands out; their signatures no longer fit.
void World::tell_lies(dht::Message& message) {
  const auto forge = [](std::vector<crypto::Bytes>& records) {
    for (crypto::Bytes& record : records) {
      if (record.size() > 65) record[record.size() - 65] ^= 1U;
    }
  };
  if (auto* fetched = std::get_if<dht::FetchReply>(&message.body)) {
    for (dht::FetchAnswer& answer : fetched->answers) forge(answer.records);
  }
  if (auto* store = std::get_if<dht::Store>(&message.body); store != nullptr && rng_.chance(0.3)) forge(store->records);
}

// Checker 8: a live, reachable member is not declared dead.
void World::happened(std::size_t device, const dht::Event& event) {
  mix(static_cast<std::uint64_t>(event.kind));
  if (event.kind != dht::EventKind::member_dead) return;
  const auto found = index_of_.find(event.node);
  if (found == index_of_.end()) return;
  const Device& target = *devices_[found->second];
  const dht::Instant long_ago = queue_.now() - calm_for;
  const bool both_lived = target.is_up() && target.up_since() <= long_ago && devices_[device]->up_since() <= long_ago;
  if (both_lived && network_.was_calm_since(long_ago)) {
    violate(fmt::format("device {} declared {} dead, which lives and can be reached", device, found->second));
  }
}

// ---- faults

void World::schedule_faults() {
  every(options_.crashes_per_minute, &World::crash_one);
  every(options_.partitions_per_minute, &World::split_network);
  every(options_.clogs_per_minute, &World::clog_one);
  if (options_.has_wipe && devices_.size() > 2) {
    queue_.at(dht::Instant(warm_up + seconds(5 + rng_.below(20))), [this] { wipe_one(); });
  }
}

void World::every(double per_minute, void (World::*fault)()) {
  if (per_minute <= 0) return;
  const auto mean_us = static_cast<std::uint64_t>(60e6 / per_minute);
  dht::Instant when(warm_up);
  while (true) {
    when += dht::Duration(static_cast<std::int64_t>(1 + rng_.below(2 * mean_us)));
    if (when >= load_end_) return;
    queue_.at(when, [this, fault] { (this->*fault)(); });
  }
}

void World::crash_one() { crash(rng_.below(devices_.size())); }

void World::crash(std::size_t victim) {
  if (!devices_[victim]->is_up()) return;
  mix(victim);
  devices_[victim]->crash();
  is_busy_[victim] = false;
  check_author_remembers(victim);
  queue_.after(milliseconds(100 + rng_.below(20'000)), [this, victim] {
    if (!devices_[victim]->is_up()) devices_[victim]->boot();
  });
}

void World::cut_power() {
  if (is_healed_) return;
  for (std::size_t i = 0; i < devices_.size(); ++i) crash(i);
}

// Nothing leaves an author that the author can still forget: after a crash its own row is at least as new as what it
// told the others (data model, "Why the run").
void World::note_told(std::size_t author, const dht::Message& message) {
  const auto* store = std::get_if<dht::Store>(&message.body);
  if (store == nullptr || store->purpose != dht::StorePurpose::write) return;
  for (const crypto::Bytes& bytes : store->records) {
    const auto record = dht::Record::parse(bytes);
    if (!record || record->actor().author != devices_[author]->signatures().signing_key()) continue;
    dht::Seq& told = told_[{author, record->key_hash()}];
    told = std::max(told, record->seq());
  }
}

void World::check_author_remembers(std::size_t author) {
  if (was_wiped_ || options_.planted == Planted::forgotten_own_row) return;
  for (auto told = told_.lower_bound({author, {}}); told != told_.end() && told->first.first == author; ++told) {
    dht::Seq remembered = 0;
    for (const dht::Row& row : devices_[author]->store().read(told->first.second).rows) {
      if (row.is_own) remembered = std::max(remembered, row.record.seq());
    }
    if (remembered < told->second)
      violate(fmt::format("device {} crashed and forgot a record that it had sent", author));
  }
}

void World::wipe_one() {
  const std::size_t victim = rng_.below(devices_.size());
  if (was_wiped_ || devices_.size() < 3) return;
  was_wiped_ = true;
  history_.forgive_weak();
  if (devices_[victim]->is_up()) devices_[victim]->crash();
  devices_[victim]->wipe();
  is_busy_[victim] = false;
  queue_.after(seconds(1), [this, victim] {
    if (!devices_[victim]->is_up()) devices_[victim]->boot();
    devices_[victim]->join(
        {devices_[(victim + 1) % devices_.size()]->id(), devices_[(victim + 2) % devices_.size()]->id()});
  });
}

void World::split_network() {
  network_.split();
  queue_.after(milliseconds(500 + rng_.below(25'000)), [this] {
    if (!is_healed_) network_.heal(queue_.now());
  });
}

void World::clog_one() { network_.clog(queue_.now(), rng_.below(devices_.size())); }

void World::heal() {
  is_healed_ = true;
  network_.become_reliable(queue_.now());
  for (auto& device : devices_) {
    if (!device->is_up()) device->boot();
  }
}

// ---- clients

void World::schedule_operations() {
  const dht::Duration interval = options_.nodes >= 500 ? milliseconds(10) : operation_interval;
  for (int i = 0; i < options_.operations; ++i) {
    const auto jitter =
        dht::Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(interval.count()))));
    queue_.at(dht::Instant(warm_up) + boot_interval(options_) * options_.nodes + i * interval + jitter,
              [this] { operate(); });
  }
  load_end_ = dht::Instant(warm_up) + boot_interval(options_) * options_.nodes + (options_.operations + 1) * interval +
              seconds(5);
}

std::string World::client(std::size_t device) const {
  return fmt::format("client {} boot {}", device, devices_[device]->boots());
}

std::size_t World::random_device() { return rng_.below(devices_.size()); }

void World::operate() {
  check_limits();
  const std::size_t device = random_device();
  if (!devices_[device]->is_up()) return;
  if (rng_.chance(options_.sudden_crash_chance)) {
    queue_.after(dht::Duration(static_cast<std::int64_t>(rng_.below(8000))), [this, device] { crash(device); });
  }
  const bool exclusive = rng_.chance(0.5);
  const std::string own = fmt::format("default/own-{}-{}", device, rng_.below(3));
  const std::string shared = fmt::format("default/shared-{}", rng_.below(static_cast<std::uint64_t>(options_.keys)));
  const std::uint64_t dice = rng_.below(100);
  if (dice < 35 || (exclusive && is_busy_[device])) {
    const std::string other = fmt::format("default/own-{}-{}", random_device(), rng_.below(3));
    read(device, exclusive ? other : shared, false);
  } else {
    write(device, exclusive ? own : shared, dice < 45);
  }
}

void World::write(std::size_t device, const std::string& key, bool is_delete) {
  const std::uint64_t number = history_.begin_write(key, is_delete, queue_.now());
  dht::PutRequest request;
  request.key = key;
  request.kind = is_delete ? dht::EntryKind::tombstone : dht::EntryKind::value;
  if (!is_delete) request.value = History::value_of(number);
  const auto seen = seen_.find({device, key});
  if (!is_exclusive(key) && seen != seen_.end() && rng_.chance(0.6)) {
    request.token = seen->second.token;
    history_.note_seen(number, seen->second.writes);
  }
  if (is_exclusive(key)) is_busy_[device] = true;
  const dht::Ticket ticket = devices_[device]->put(std::move(request));
  asked_[{device, ticket}] = {.device = device,
                              .boot = devices_[device]->boots(),
                              .write = number,
                              .key = key,
                              .began = queue_.now(),
                              .is_final = false};
}

void World::read(std::size_t device, const std::string& key, bool is_final) {
  dht::GetRequest request;
  request.key = key;
  if (is_final) request.r = options_.n;
  const dht::Ticket ticket = devices_[device]->get(request);
  asked_[{device, ticket}] = {.device = device,
                              .boot = devices_[device]->boots(),
                              .write = 0,
                              .key = key,
                              .began = queue_.now(),
                              .is_final = is_final};
}

void World::completed(std::size_t device, dht::Completion completion) {
  const auto found = asked_.find({device, completion.ticket});
  if (found == asked_.end() || found->second.boot != devices_[device]->boots()) {
    violate(fmt::format("device {} completed ticket {}, which it had not open", device, completion.ticket));
    return;
  }
  const Asked asked = found->second;
  asked_.erase(found);
  mix(completion.ticket);
  mix(completion.outcome.index());
  if (std::holds_alternative<dht::Error>(completion.outcome)) report_.errors += 1;
  if (asked.write != 0) return finish_write(asked, completion);
  finish_read(asked, completion);
}

void World::finish_write(const Asked& asked, dht::Completion& completion) {
  if (is_exclusive(asked.key)) is_busy_[asked.device] = false;
  if (auto* receipt = std::get_if<dht::Receipt>(&completion.outcome)) {
    if (is_liar(asked.device)) return;  // its own clients have no promise from anybody
    history_.acknowledge(asked.write, *receipt, queue_.now());
    if (!is_healed_ && rng_.chance(options_.power_cut_chance)) queue_.after({}, [this] { cut_power(); });
  }
}

void World::finish_read(const Asked& asked, const dht::Completion& completion) {
  const auto* answer = std::get_if<dht::ReadAnswer>(&completion.outcome);
  if (answer == nullptr) {
    if (asked.is_final) violate(asked.key + " could not be read after healing");
    return;
  }
  report_.reads += 1;
  if (answer->degraded) report_.reads_degraded += 1;
  seen_[{asked.device, asked.key}] = {answer->version, History::numbers_in(*answer)};
  history_.observe(client(asked.device), *answer, is_exclusive(asked.key), report_.violations);
  if (!asked.is_final) return;
  if (answer->degraded) violate(asked.key + " is read degraded after healing");
  history_.check_final(*answer, is_exclusive(asked.key), report_.violations);
}

// ---- after healing

void World::read_everything() {
  for (const std::string& key : history_.keys()) {
    queue_.after(dht::Duration(static_cast<std::int64_t>(rng_.below(5'000'000))),
                 [this, key] { read(random_device(), key, true); });
  }
}

// Checker 4, for keys that were read after healing: all replicas hold the same rows.
void World::check_replicas_equal() {
  if (!report_.violations.empty()) return;
  for (const std::string& key : history_.keys()) {
    const dht::KeyHash hash = dht::hash_key(key);
    const auto replicas = devices_.front()->node().replicas_of(dht::partition_of(hash));
    const std::array<std::uint8_t, 32> digest_key{};
    std::optional<dht::RowsDigest> first;
    for (const dht::NodeId& node : replicas) {
      const auto digest = dht::digest_of(devices_[index_of_.at(node)]->store().read(hash).rows, digest_key);
      if (first && *first != digest) violate(key + " differs between its replicas after it was read");
      first = digest;
    }
  }
}

// Checker 10: every ticket completes, unless its daemon died first.
void World::check_tickets() {
  for (const auto& [id, asked] : asked_) {
    const bool daemon_lives = devices_[asked.device]->is_up() && devices_[asked.device]->boots() == asked.boot;
    if (!daemon_lives || asked.began + ticket_patience > queue_.now()) continue;
    violate(fmt::format("ticket {} of device {} for {} never completed", id.second, asked.device, asked.key));
  }
}

// Checker 9: no table exceeds its limit.
void World::check_limits() {
  const Device& device = *devices_[random_device()];
  if (!device.is_up()) return;
  const dht::Node& node = const_cast<Device&>(device).node();
  if (node.tickets_open() > dht::limits::tickets_max) violate("more tickets are open than the limit allows");
  if (node.members().size() >= devices_.size()) violate("a node knows more members than there are");
}

void World::violate(std::string what) {
  report_.violations.push_back(
      {fmt::format("at {:.3f} s: {}", static_cast<double>(queue_.now().time_since_epoch().count()) / 1e6, what)});
}

void World::mix(std::uint64_t value) {
  report_.hash = (report_.hash ^ value) * 0x9E3779B97F4A7C15ULL;
  report_.hash ^= report_.hash >> 29U;
}

}  // namespace kith::sim
