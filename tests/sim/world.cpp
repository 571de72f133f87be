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
constexpr dht::Duration rest = seconds(30);  // the last of it: nothing is left to be healed
constexpr double rate_at_rest_max = 1000;    // bytes a second and device; the largest of many seeds is two thirds of it
constexpr double rate_in_all_max = 6000;
constexpr double rate_with_strong_max = 7000;  // five clients more, who never rest

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
      clients_(options_, queue_, mesh_, findings_, rng_.fork()),
      strong_clients_(options_, queue_, mesh_, findings_, rng_.fork()),
      lock_service_(queue_, mesh_, findings_, rng_.fork()) {}

Report World::run() {
  const auto stop = [this] { return findings_.are_enough(); };
  mesh_.boot_all();
  load_end_ = clients_.schedule(dht::Instant(options_.warm_up) + mesh_.boot_time(),
                                [this](std::size_t device) { before_operation(device); });
  if (options_.has_strong) {
    strong_clients_.schedule(dht::Instant(options_.warm_up), load_end_ - seconds(5));
    lock_service_.schedule(dht::Instant(options_.warm_up), load_end_ - seconds(5));
  }
  schedule_faults();
  queue_.run_until(load_end_, stop);
  is_healed_ = true;
  mesh_.heal();
  const dht::Instant healed = queue_.now();
  queue_.run_until(healed + repair_time, stop);
  await_reaping();
  check_replicas_equal("without having been read");
  queue_.run_until(healed + healing_time - rest, stop);
  const std::uint64_t sent_before = mesh_.bytes_sent();
  queue_.run_until(healed + healing_time, stop);
  check_bytes("at rest", mesh_.bytes_sent() - sent_before, rest, rate_at_rest_max);
  check_left();
  check_views();
  clients_.check_policies();
  check_handed_off();
  clients_.read_everything();
  strong_clients_.read_everything();
  queue_.run_until(queue_.now() + seconds(20), stop);
  await_reaping();
  check_replicas_equal("after it was read");
  clients_.check_tickets();
  strong_clients_.check();
  check_bytes("in all", mesh_.bytes_sent(), queue_.now().time_since_epoch(),
              options_.has_strong ? rate_with_strong_max : rate_in_all_max);
  trace_.mix(queue_.executed());
  return report();
}

Report World::report() const {
  return {.violations = findings_.all(),
          .hash = trace_.hash(),
          .deliveries = trace_.deliveries(),
          .writes = clients_.history().writes() + clients_.counters().size(),
          .acknowledged = clients_.history().acknowledged() + clients_.counters().acknowledged(),
          .reaped = clients_.history().reaped(),
          .counts = clients_.counts(),
          .strong = strong_clients_.counts(),
          .locks = lock_service_.counts()};
}

// ---- what happens

void World::on_completed(std::size_t device, dht::Completion completion) {
  trace_.mix(completion.ticket);
  trace_.mix(completion.outcome.index());
  if (strong_clients_.complete(device, completion) || lock_service_.complete(device, completion)) return;
  const bool is_acknowledged = clients_.complete(device, std::move(completion));
  if (is_acknowledged && !is_healed_ && rng_.chance(options_.power_cut_chance)) {
    queue_.after({}, [this] { cut_power(); });
  }
}

// Checker 8: a live, reachable member is not declared dead.
void World::on_event(std::size_t device, const dht::Event& event) {
  trace_.mix(static_cast<std::uint64_t>(event.kind));
  if (event.kind == dht::EventKind::left_mesh) return retire(device);
  if (event.kind != dht::EventKind::member_dead) return;
  const auto found = mesh_.find(event.node);
  if (!found || left_.contains(*found)) return;
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
  schedule_leaves();
  if (options_.has_wipe && mesh_.size() > 2) {
    const dht::Instant when(options_.warm_up + seconds(5 + rng_.below(20)));
    queue_.at(when, [this] { wipe_one(); });
    // Of those who agreed on something, one was not there, one forgets it, and a third is not there after that.
    if (options_.has_strong) {
      queue_.at(when - seconds(3), [this] { crash_one(); });
      queue_.at(when + milliseconds(1), [this] { crash_one(); });
    }
  }
  if (options_.has_long_absence) {
    queue_.at(dht::Instant(options_.warm_up + seconds(5 + rng_.below(30))), [this] { send_one_away(); });
  }
}

// Not before everybody has had time to join: those who came last know nobody but their seeds. Mostly early enough to be
// over while there is load.
void World::schedule_leaves() {
  const dht::Instant all_joined(options_.warm_up + mesh_.boot_time() + seconds(5));
  const auto half = static_cast<std::uint64_t>((load_end_ - all_joined).count() / 2);
  for (int i = 0; i < options_.leaves; ++i) {
    const dht::Duration wait(static_cast<std::int64_t>(rng_.below(rng_.chance(0.7) ? half : 2 * half)));
    queue_.at(all_joined + wait, [this] { leave_one(); });
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
  on_crash(victim);
  check_author_remembers(victim);
  queue_.after(milliseconds(100 + rng_.below(20'000)), [this, victim] {
    const bool is_to_boot = mesh_.is_member(victim) && sent_away_ != victim;
    if (is_to_boot && !mesh_.at(victim).is_up()) mesh_.at(victim).boot();
  });
}

void World::on_crash(std::size_t device) {
  clients_.on_crash(device);
  strong_clients_.on_crash(device);
  lock_service_.on_crash(device);
}

void World::send_one_away() {
  const std::size_t victim = rng_.below(mesh_.size());
  if (!mesh_.at(victim).is_up() || is_healed_ || left_.contains(victim)) return;
  mesh_.crash(victim);
  on_crash(victim);
  sent_away_ = victim;
  const auto share = static_cast<std::int64_t>(110 + rng_.below(50));
  queue_.after(options_.tombstone_grace * share / 100, [this, victim] {
    sent_away_.reset();
    if (mesh_.is_member(victim) && !mesh_.at(victim).is_up()) mesh_.at(victim).boot();
  });
}

void World::cut_power() {
  if (is_healed_) return;
  for (std::size_t i = 0; i < mesh_.size(); ++i) crash(i);
}

void World::wipe_one() {
  if (wiped_) return;
  const std::size_t victim = rng_.below(mesh_.size());
  if (left_.contains(victim)) return;
  wiped_ = victim;
  Device& device = mesh_.at(victim);
  clients_.on_wipe(victim);
  strong_clients_.on_wipe();
  if (device.is_up()) mesh_.crash(victim);
  device.wipe();
  on_crash(victim);
  queue_.after(seconds(1), [this, victim] {
    Device& wiped = mesh_.at(victim);
    if (!wiped.is_up()) wiped.boot();
    std::vector<std::size_t> others = mesh_.members();
    std::erase(others, victim);
    wiped.join({mesh_.at(others[victim % others.size()]).as_seed(), mesh_.at(others.front()).as_seed()});
  });
}

// Two honest members stay, at least. A liar's copies are worth nothing, and whoever lost its disk has given up enough.
void World::leave_one() {
  const auto stays = [this](std::size_t i) { return !mesh_.at(i).is_leaving() && !mesh_.is_liar(i) && wiped_ != i; };
  const std::vector<std::size_t> members = mesh_.members();
  if (std::ranges::count_if(members, stays) < 3) return;
  const std::size_t device = members[rng_.below(members.size())];
  if (!stays(device) || !mesh_.at(device).is_up()) return;
  mesh_.at(device).leave();
  if (!rng_.chance(options_.leave_undone_chance)) return;
  queue_.after(milliseconds(rng_.below(20'000)), [this, device] { take_leave_back(device); });
}

void World::take_leave_back(std::size_t device) {
  const bool can_stay = !left_.contains(device) && mesh_.at(device).is_up();
  if (can_stay && mesh_.at(device).is_leaving()) mesh_.at(device).stay();
}

// Its daemon ends by itself, once the last word is out.
void World::retire(std::size_t device) {
  left_.insert(device);
  queue_.after(milliseconds(100), [this, device] {
    mesh_.retire(device);
    on_crash(device);
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
    dht::VersionEntry& told = told_[{from, record->key_hash()}];
    if (told.seq < record->seq()) told = {.tag = record->tag(), .seq = record->seq()};
  }
}

// Checker 1, as early as it shows: after a crash an author's own row is at least as new as what it told the others
// (docs/data-model.md, "Runs").
void World::check_author_remembers(std::size_t author) {
  if (wiped_ || options_.planted == Planted::forgotten_own_row) return;
  for (auto told = told_.lower_bound({author, {}}); told != told_.end() && told->first.first == author; ++told) {
    const dht::KeyHash& key = told->first.second;
    if (clients_.history().was_reaped(key) || is_outlived(author) || may_be_retired(key, told->second)) continue;
    dht::Seq remembered = 0;
    for (const dht::Row& row : mesh_.at(author).store().read(key).rows) {
      if (row.is_own) remembered = std::max(remembered, row.record.seq());
    }
    if (remembered < told->second.seq) {
      findings_.add(fmt::format("device {} crashed and forgot a record that it had sent", author));
    }
  }
}

// Authors forget what a finished tombstone covers, before its replicas forget the tombstone itself, or what was written
// over that meanwhile.
bool World::may_be_retired(const dht::KeyHash& key, const dht::VersionEntry& told) {
  if (options_.tombstone_grace > options_.warm_up + (load_end_ - dht::Instant{})) return false;
  for (std::size_t i = 0; i < mesh_.size(); ++i) {
    for (const dht::Row& row : mesh_.at(i).store().read(key).rows) {
      const dht::Seq covered = row.record.tag() == told.tag ? row.record.seq() : row.record.context_at(told.tag);
      if (row.is_replica && covered >= told.seq) return true;
    }
  }
  return false;
}

// Nothing is let go before those it is for have it: a copy before every replica has it, a delivery before its target.
// A target may have moved on in the meantime, once the replicas of today had it.
void World::on_let_go(std::size_t device, const LetGo& what) {
  if (what.target == mesh_.at(device).id()) return;  // what was told to nobody is told now
  if (what.target && knows(*what.target, what)) return;
  const auto replicas = mesh_.at(device).node().replicas_of(dht::partition_of(what.key));
  const bool is_replica = std::ranges::find(replicas, mesh_.at(device).id()) != replicas.end();
  if (!what.target && is_replica && is_finished(device, what)) return check_reaped(what);
  const auto is_provided_for = [&](const dht::NodeId& node) {
    return knows(node, what) || (what.target && is_noted(device, node, what.key));
  };
  if (std::ranges::all_of(replicas, is_provided_for)) return;
  if (mesh_.is_liar(device) || (!what.target && is_outlived(device))) return;
  findings_.add(fmt::format("device {} let go {} of a key of partition {} that {} lacks", device,
                            what.target ? "a delivery" : "copies", dht::partition_of(what.key),
                            what.target ? "its target" : "a replica"));
}

bool World::is_finished(std::size_t device, const LetGo& what) {
  dht::Rows rows;
  for (const dht::Record& record : what.records) rows.push_back({.record = record, .is_replica = true});
  const auto grace = std::chrono::duration_cast<milliseconds>(options_.tombstone_grace).count();
  return dht::is_finished(rows, mesh_.at(device).now().wall_ms, static_cast<dht::WallMs>(grace));
}

// It came back after longer than the grace, and gives up what others may have deleted and reaped meanwhile.
bool World::is_outlived(std::size_t device) {
  const Device& returned = mesh_.at(device);
  return returned.away_for() >= options_.tombstone_grace * 9 / 10 && queue_.now() - returned.up_since() < seconds(60);
}

// What is reaped has outlived all that it superseded, but for devices that are away for longer than the grace.
void World::check_reaped(const LetGo& what) {
  for (const dht::Record& record : what.records) {
    for (std::size_t i = 0; i < record.entry_count(); ++i)
      clients_.history().note_reaped(what.key, record.entry(i).seq);
  }
  for (std::size_t i = 0; i < mesh_.size(); ++i) {
    Device& device = mesh_.at(i);
    const bool is_long_gone =
        !device.is_up() && queue_.now() - device.down_since() >= options_.tombstone_grace * 9 / 10;
    if (is_long_gone || mesh_.is_liar(i) || !mesh_.is_member(i)) continue;
    const dht::Rows& rows = device.store().read(what.key).rows;
    for (const dht::Row& row : rows) {
      // Whoever holds both has not been told yet, and lets go of both.
      const auto brings_back = [&](const dht::Record& reaped) {
        return dht::supersedes(reaped, row.record) && std::ranges::find(rows, reaped, &dht::Row::record) == rows.end();
      };
      if (std::ranges::none_of(what.records, brings_back)) continue;
      findings_.add(fmt::format("a record of {} was reaped while device {} holds an older one", row.record.key(), i));
    }
  }
}

// Where a target has left for good, its delivery becomes one for each replica of today.
bool World::is_noted(std::size_t device, const dht::NodeId& node, const dht::KeyHash& key) {
  const auto noted = mesh_.at(device).store().outbox_for(node, dht::limits::outbox_entries_max);
  return std::ranges::find(noted, key) != noted.end();
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

// Checker 11: what all send stays below a bound. Nothing is sent again and again for ever.
void World::check_bytes(const char* when, std::uint64_t bytes, dht::Duration time, double rate_max) {
  const double device_seconds = std::chrono::duration<double>(time).count() * static_cast<double>(mesh_.size());
  const double rate = static_cast<double>(bytes) / device_seconds;
  if (rate > rate_max) findings_.add(fmt::format("{} devices send {:.0f} B/s each, above {}", when, rate, rate_max));
}

// Whoever was leaving had everybody there to take over, and is gone.
void World::check_left() {
  for (const std::size_t i : mesh_.members()) {
    // Nobody may decide about a shard of which the one who lost its disk was half the voters.
    if (mesh_.at(i).is_leaving() && !(wiped_ && options_.has_strong))
      findings_.add(fmt::format("after healing device {} is still leaving", i));
  }
}

// Everybody has been up for a while, and reachable: everybody takes everybody for alive.
void World::check_views() {
  const std::size_t others = mesh_.members().size() - 1;
  for (const std::size_t i : mesh_.members()) {
    const auto members = mesh_.at(i).node().members();
    const auto is_alive = [](const dht::Member* member) { return member->state == dht::MemberState::alive; };
    const auto alive = std::ranges::count_if(members, is_alive);
    if (static_cast<std::size_t>(alive) == others) continue;
    findings_.add(fmt::format("after healing device {} takes {} of {} others for alive", i, alive, others));
  }
}

// What was noted for replicas that were away has been delivered, and nobody holds what belongs elsewhere, but spare
// copies of what every replica has confirmed.
void World::check_handed_off() {
  for (const std::size_t i : mesh_.members()) {
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

// Replicas that reap the same record do it one after the other: they differ for a moment.
void World::await_reaping() {
  const auto stop = [this] { return findings_.are_enough(); };
  for (int i = 0; i < 20 && differing_key(); ++i) queue_.run_until(queue_.now() + milliseconds(500), stop);
}

std::optional<std::string> World::differing_key() {
  dht::Node& witness = mesh_.at(mesh_.members().front()).node();
  for (const std::string& key : clients_.keys()) {
    const dht::KeyHash hash = dht::hash_key(key);
    const std::array<std::uint8_t, 32> digest_key{};
    std::optional<dht::RowsDigest> first;
    for (const dht::NodeId& node : witness.replicas_of(dht::partition_of(hash))) {
      const auto digest = dht::digest_of(mesh_.at(*mesh_.find(node)).store().read(hash).rows, digest_key);
      if (first && *first != digest) return key;
      first = digest;
    }
  }
  return std::nullopt;
}

// Checker 4: all replicas hold the same rows.
void World::check_replicas_equal(std::string_view when) {
  if (!findings_.all().empty()) return;
  if (const auto key = differing_key()) findings_.add(*key + " differs between its replicas " + std::string(when));
}

}  // namespace kith::sim
