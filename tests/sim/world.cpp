// SPDX-License-Identifier: MIT
#include "tests/sim/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kith::sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr dht::Duration calm_for = seconds(40);
constexpr dht::Duration repair_time = seconds(60);
constexpr dht::Duration healing_time = seconds(120);

crypto::Rng rng_of(std::uint64_t seed) {
  std::array<std::uint8_t, 32> bytes{'w', 'o', 'r', 'l', 'd'};
  crypto::store_be64(bytes.data() + 8, seed);
  return crypto::Rng(bytes);
}

}  // namespace

World::World(const Options& options)
    : options_(options),
      rng_(rng_of(options.seed)),
      mesh_(options_, queue_, trace_, *this, rng_.fork()),
      clients_(options_, queue_, mesh_, findings_, rng_.fork()) {}

Report World::run() {
  const auto stop = [this] { return findings_.are_enough(); };
  mesh_.boot_all();
  load_end_ = clients_.schedule(dht::Instant(options_.warm_up) + mesh_.boot_time(),
                                [this](std::size_t device) { before_operation(device); });
  schedule_faults();
  queue_.run_until(load_end_, stop);
  is_healed_ = true;
  mesh_.heal();
  const dht::Instant healed = queue_.now();
  queue_.run_until(healed + repair_time, stop);
  check_replicas_equal("without having been read");
  queue_.run_until(healed + healing_time, stop);
  check_views();
  check_handed_off();
  clients_.read_everything();
  queue_.run_until(queue_.now() + seconds(20), stop);
  check_replicas_equal("after it was read");
  clients_.check_tickets();
  trace_.mix(queue_.executed());
  return report();
}

Report World::report() const {
  return {.violations = findings_.all(),
          .hash = trace_.hash(),
          .deliveries = trace_.deliveries(),
          .writes = clients_.history().writes(),
          .acknowledged = clients_.history().acknowledged(),
          .counts = clients_.counts()};
}

// ---- what happens

void World::on_completed(std::size_t device, dht::Completion completion) {
  trace_.mix(completion.ticket);
  trace_.mix(completion.outcome.index());
  const bool is_acknowledged = clients_.complete(device, std::move(completion));
  if (is_acknowledged && !is_healed_ && rng_.chance(options_.power_cut_chance)) {
    queue_.after({}, [this] { cut_power(); });
  }
}

// Checker 8: a live, reachable member is not declared dead.
void World::on_event(std::size_t device, const dht::Event& event) {
  trace_.mix(static_cast<std::uint64_t>(event.kind));
  if (event.kind != dht::EventKind::member_dead) return;
  const auto found = mesh_.find(event.node);
  if (!found) return;
  const Device& target = mesh_.at(*found);
  const dht::Instant long_ago = queue_.now() - calm_for;
  const bool both_lived = target.is_up() && target.up_since() <= long_ago && mesh_.at(device).up_since() <= long_ago;
  if (both_lived && mesh_.network().was_calm_since(long_ago)) {
    findings_.add(fmt::format("device {} declared {} dead, which lives and can be reached", device, *found));
  }
}

// ---- faults

void World::schedule_faults() {
  every(options_.crashes_per_minute, &World::crash_one);
  every(options_.partitions_per_minute, &World::split_network);
  every(options_.clogs_per_minute, &World::clog_one);
  if (options_.has_wipe && mesh_.size() > 2) {
    queue_.at(dht::Instant(options_.warm_up + seconds(5 + rng_.below(20))), [this] { wipe_one(); });
  }
}

void World::every(double per_minute, void (World::*fault)()) {
  if (per_minute <= 0) return;
  const auto mean_us = static_cast<std::uint64_t>(60e6 / per_minute);
  dht::Instant when(options_.warm_up);
  while (true) {
    when += dht::Duration(static_cast<std::int64_t>(1 + rng_.below(2 * mean_us)));
    if (when >= load_end_) return;
    queue_.at(when, [this, fault] { (this->*fault)(); });
  }
}

// A device is most worth crashing while it works.
void World::before_operation(std::size_t device) {
  check_limits();
  if (!rng_.chance(options_.sudden_crash_chance)) return;
  queue_.after(dht::Duration(static_cast<std::int64_t>(rng_.below(8000))), [this, device] { crash(device); });
}

void World::crash(std::size_t victim) {
  if (!mesh_.at(victim).is_up()) return;
  mesh_.crash(victim);
  clients_.on_crash(victim);
  check_author_remembers(victim);
  queue_.after(milliseconds(100 + rng_.below(20'000)), [this, victim] {
    if (!mesh_.at(victim).is_up()) mesh_.at(victim).boot();
  });
}

void World::cut_power() {
  if (is_healed_) return;
  for (std::size_t i = 0; i < mesh_.size(); ++i) crash(i);
}

void World::wipe_one() {
  if (wiped_) return;
  const std::size_t victim = rng_.below(mesh_.size());
  wiped_ = victim;
  Device& device = mesh_.at(victim);
  clients_.history().forgive_wipe(victim);
  if (device.is_up()) mesh_.crash(victim);
  device.wipe();
  clients_.on_crash(victim);
  queue_.after(seconds(1), [this, victim] {
    Device& wiped = mesh_.at(victim);
    if (!wiped.is_up()) wiped.boot();
    wiped.join({mesh_.at((victim + 1) % mesh_.size()).as_seed(), mesh_.at((victim + 2) % mesh_.size()).as_seed()});
  });
}

void World::split_network() {
  mesh_.network().split();
  queue_.after(milliseconds(500 + rng_.below(25'000)), [this] {
    if (!is_healed_) mesh_.network().heal(queue_.now());
  });
}

// ---- checkers

// What an author tells the others, for check_author_remembers().
void World::on_message(std::size_t from, const dht::Message& message) {
  const auto* store = std::get_if<dht::Store>(&message.body);
  if (store == nullptr || store->purpose != dht::StorePurpose::write) return;
  for (const crypto::Bytes& bytes : store->records) {
    const auto record = dht::Record::parse(bytes);
    if (!record || record->actor().author != mesh_.at(from).signatures().signing_key()) continue;
    dht::Seq& told = told_[{from, record->key_hash()}];
    told = std::max(told, record->seq());
  }
}

// Checker 1, as early as it shows: after a crash an author's own row is at least as new as what it told the others
// (docs/data-model.md, "Runs").
void World::check_author_remembers(std::size_t author) {
  if (wiped_ || options_.planted == Planted::forgotten_own_row) return;
  for (auto told = told_.lower_bound({author, {}}); told != told_.end() && told->first.first == author; ++told) {
    dht::Seq remembered = 0;
    for (const dht::Row& row : mesh_.at(author).store().read(told->first.second).rows) {
      if (row.is_own) remembered = std::max(remembered, row.record.seq());
    }
    if (remembered < told->second) {
      findings_.add(fmt::format("device {} crashed and forgot a record that it had sent", author));
    }
  }
}

// Nothing is let go before those it is for have it: a copy before every replica has it, a delivery before its target.
// A target may have moved on in the meantime, once the replicas of today had it.
void World::on_let_go(std::size_t device, const LetGo& what) {
  if (mesh_.is_liar(device) || (what.target && knows(*what.target, what))) return;
  const auto replicas = mesh_.at(device).node().replicas_of(dht::partition_of(what.key));
  if (std::ranges::all_of(replicas, [&](const dht::NodeId& node) { return knows(node, what); })) return;
  findings_.add(fmt::format("device {} let go {} of a key of partition {} that {} lacks", device,
                            what.target ? "a delivery" : "copies", dht::partition_of(what.key),
                            what.target ? "its target" : "a replica"));
}

bool World::knows(const dht::NodeId& node, const LetGo& what) {
  const auto device = mesh_.find(node);
  if (!device) return false;
  if (wiped_ == device || mesh_.is_liar(*device)) return true;  // it had them, or says so
  const dht::Rows& rows = mesh_.at(*device).store().read(what.key).rows;
  return std::ranges::all_of(what.records, [&](const dht::Record& record) { return is_known(rows, record); });
}

// Checker 9: no table exceeds its limit.
void World::check_limits() {
  Device& device = mesh_.at(rng_.below(mesh_.size()));
  if (!device.is_up()) return;
  const dht::Node& node = device.node();
  if (node.tickets_open() > dht::limits::tickets_max) findings_.add("more tickets are open than the limit allows");
  if (node.members().size() >= mesh_.size()) findings_.add("a node knows more members than there are");
}

// Everybody has been up for a while, and reachable: everybody takes everybody for alive.
void World::check_views() {
  for (std::size_t i = 0; i < mesh_.size(); ++i) {
    const auto members = mesh_.at(i).node().members();
    const auto is_alive = [](const dht::Member* member) { return member->state == dht::MemberState::alive; };
    const auto alive = std::ranges::count_if(members, is_alive);
    if (static_cast<std::size_t>(alive) + 1 == mesh_.size()) continue;
    findings_.add(fmt::format("after healing device {} takes {} of {} others for alive", i, alive, mesh_.size() - 1));
  }
}

// What was noted for replicas that were away has been delivered, and nobody holds what belongs elsewhere, but spare
// copies of what every replica has confirmed.
void World::check_handed_off() {
  for (std::size_t i = 0; i < mesh_.size(); ++i) {
    Device& device = mesh_.at(i);
    const std::uint64_t waiting = device.store().totals().outbox;
    if (waiting > 0) findings_.add(fmt::format("after healing {} deliveries wait at device {}", waiting, i));
    for (const dht::KeyHash& key : device.store().keys_after(std::nullopt)) {
      const auto replicas = device.node().replicas_of(dht::partition_of(key));
      if (std::ranges::find(replicas, device.id()) != replicas.end()) continue;
      const auto rows = device.store().read(key).rows;
      if (!std::ranges::any_of(rows, &dht::Row::is_replica) || dht::are_spare(rows)) continue;
      findings_.add(
          fmt::format("after healing device {} still holds {}, which belongs elsewhere", i, rows.front().record.key()));
    }
  }
}

// Checker 4: all replicas hold the same rows.
void World::check_replicas_equal(std::string_view when) {
  if (!findings_.all().empty()) return;
  for (const std::string& key : clients_.history().keys()) {
    const dht::KeyHash hash = dht::hash_key(key);
    const std::array<std::uint8_t, 32> digest_key{};
    std::optional<dht::RowsDigest> first;
    for (const dht::NodeId& node : mesh_.at(0).node().replicas_of(dht::partition_of(hash))) {
      const auto digest = dht::digest_of(mesh_.at(*mesh_.find(node)).store().read(hash).rows, digest_key);
      if (first && *first != digest) findings_.add(key + " differs between its replicas " + std::string(when));
      first = digest;
    }
  }
}

}  // namespace kith::sim
