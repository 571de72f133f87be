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
constexpr double reaping_rate_max = 500;     // the same, where its rounds are seconds apart; of 26 devices 134
constexpr double rate_in_all_max = 6000;
constexpr double strong_operation_bytes = 4000;  // what one may cost more, in all
constexpr double rate_of_watchers_max = 4000;    // and what four are told, and read

crypto::Rng rng_of(std::uint64_t seed) {
  std::array<std::uint8_t, 32> bytes{'w', 'o', 'r', 'l', 'd'};
  crypto::store_be64(bytes.data() + 8, seed);
  return crypto::Rng(bytes);
}

crypto::Rng late_rng_of(std::uint64_t seed) {
  std::array<std::uint8_t, 32> bytes{'l', 'a', 't', 'e'};
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
      lock_service_(queue_, mesh_, findings_, rng_.fork()),
      late_rng_(late_rng_of(options.seed)),
      expiry_clients_(options_, queue_, mesh_, findings_, late_rng_.fork()),
      listing_clients_(
          {queue_, mesh_, findings_, [this](std::size_t device, dht::Instant since) { return is_calm(device, since); }},
          late_rng_.fork()),
      settled_clients_(queue_, mesh_, findings_, late_rng_.fork()),
      watchers_(queue_, mesh_, findings_, late_rng_.fork()),
      restorer_(queue_, mesh_, late_rng_.fork()) {
  watch_disks();
}

void World::watch_disks() {
  for (std::size_t i = 0; i < mesh_.size(); ++i) {
    mesh_.at(i).store().watch(i, record_watch_);
    mesh_.at(i).store().watch(i, voter_watch_);
  }
}

Report World::run() {
  const auto stop = [this] { return findings_.are_enough(); };
  mesh_.boot_all();
  schedule_clients();
  schedule_faults();
  schedule_audits();
  queue_.run_until(load_end_, stop);
  is_healed_ = true;
  set_clocks_right();
  mesh_.heal();
  const dht::Instant healed = queue_.now();
  queue_.run_until(healed + repair_time, stop);
  await_reaping();
  check_replicas_equal("without having been read");
  queue_.run_until(healed + healing_time - rest, stop);
  settle(healed);
  check_left();
  check_views();
  clients_.check_policies();
  check_handed_off();
  audit_.look(keys());
  clients_.read_everything();
  expiry_clients_.read_everything();
  strong_clients_.read_everything();
  watchers_.read_everything(clients_.keys());
  watchers_.read_everything(strong_clients_.keys());
  if (has_side_clients()) {
    settled_clients_.schedule(queue_.now(), seconds(12), [this](const auto& key) { listing_clients_.expect(key); });
    for (int i = 0; i < 3; ++i) listing_clients_.list_at(queue_.now() + seconds(3 * i + 2));
  }
  queue_.run_until(queue_.now() + seconds(20), stop);
  await_reaping();
  check_replicas_equal("after it was read");
  clients_.check_tickets();
  strong_clients_.check();
  watchers_.check();
  const StrongClients::Counts& strong = strong_clients_.counts();
  const auto strong_operations =
      static_cast<double>(strong.done + strong.refused + strong.unknown + strong.unavailable);
  const dht::Duration whole_run = queue_.now().time_since_epoch();
  check_bytes("in all", mesh_.bytes_sent(), whole_run,
              rate_in_all_max + strong_operations * strong_operation_bytes / device_seconds(whole_run) +
                  (options_.has_watchers ? rate_of_watchers_max : 0));
  trace_.mix(queue_.executed());
  return report();
}

void World::schedule_clients() {
  const dht::Instant start(options_.warm_up);
  load_end_ = clients_.schedule(start + mesh_.boot_time(), [this](std::size_t device) { before_operation(device); });
  if (options_.has_strong) {
    strong_clients_.schedule(start, load_end_ - seconds(5));
    lock_service_.schedule(start, load_end_ - seconds(5));
  }
  if (options_.has_watchers) watchers_.schedule(start, watched());
  if (!has_side_clients()) return;
  expiry_clients_.schedule(start + mesh_.boot_time(), load_end_ - seconds(5));
  listing_clients_.schedule(start + mesh_.boot_time(), load_end_ - seconds(5));
}

void World::schedule_audits() {
  const dht::Duration interval = std::max<dht::Duration>(load_end_.time_since_epoch() / 8, seconds(1));
  for (dht::Instant when(interval); when < load_end_; when += interval) {
    queue_.at(when, [this] { audit_.look(keys()); });
  }
}

// The last of healing: nothing is left to be done, and it shows in what is sent. Where deletions are reaped something
// is, now and then.
void World::settle(dht::Instant healed) {
  const auto stop = [this] { return findings_.are_enough(); };
  const bool is_reaping = options_.tombstone_grace < healing_time;
  is_at_rest_ = !is_reaping;
  if (!is_reaping) audit_.begin_rest();
  const std::uint64_t sent_before = mesh_.bytes_sent();
  queue_.run_until(healed + healing_time, stop);
  const double rate_max = rate_at_rest_max + (is_reaping ? reaping_rate_max : 0);
  check_bytes("at rest", mesh_.bytes_sent() - sent_before, rest, rate_max);
  audit_.end_rest();
  is_at_rest_ = false;
}

std::vector<std::string> World::keys() const {
  std::vector<std::string> all = clients_.keys();
  for (const auto& more : {expiry_clients_.keys(), settled_clients_.keys()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

Report World::report() const {
  return {.violations = findings_.all(),
          .invariants = findings_.tally(),
          .hash = trace_.hash(),
          .deliveries = trace_.deliveries(),
          .writes = clients_.history().writes() + clients_.counters().size(),
          .acknowledged = clients_.history().acknowledged() + clients_.counters().acknowledged(),
          .reaped = clients_.history().reaped(),
          .counts = clients_.counts(),
          .strong = strong_clients_.counts(),
          .locks = lock_service_.counts(),
          .watches = watchers_.counts()};
}

// All keys of a namespace, a few that are written, and perhaps never will be.
std::vector<std::string> World::watched() const {
  return {"default/",
          "siblings/",
          options_.has_strong ? "strong/" : "default/own-",
          options_.has_strong ? "strong/key-0" : "default/shared-2",
          "default/careful-1",
          "default/counter-0"};
}

// ---- what happens

void World::on_completed(std::size_t device, dht::Completion completion) {
  trace_.mix(completion.ticket);
  trace_.mix(completion.outcome.index());
  note_acknowledged(device, completion);
  if (is_others(device, completion)) return;
  const bool is_acknowledged = clients_.complete(device, std::move(completion));
  if (is_acknowledged && !is_healed_ && rng_.chance(options_.power_cut_chance)) {
    queue_.after({}, [this] { cut_power(); });
  }
}

bool World::is_others(std::size_t device, const dht::Completion& completion) {
  return strong_clients_.complete(device, completion) || lock_service_.complete(device, completion) ||
         expiry_clients_.complete(device, completion) || listing_clients_.complete(device, completion) ||
         settled_clients_.complete(device, completion) || watchers_.complete(device, completion) ||
         restorer_.complete(device, completion);
}

void World::on_arrival(std::size_t from, std::size_t to, const dht::Message& message) {
  record_watch_.on_arrival(from, to, message);
  voter_watch_.on_arrival(from, to, message);
}

void World::on_sent(std::size_t from, std::size_t to, const dht::Message& message) {
  record_watch_.on_sent(from, to, message);
  voter_watch_.on_sent(from, to, message);
  if (is_at_rest_) audit_.check_digest(from, to, message);
}

// Checker 8: a live, reachable member is not declared dead.
void World::on_event(std::size_t device, const dht::Event& event) {
  trace_.mix(static_cast<std::uint64_t>(event.kind));
  if (event.kind == dht::EventKind::left_mesh) return retire(device);
  if (event.kind != dht::EventKind::member_dead) return;
  const auto found = mesh_.find(event.node);
  findings_.look(Invariant::the_living_are_members);
  if (!found || left_.contains(*found)) return;
  const Device& target = mesh_.at(*found);
  const dht::Instant long_ago = queue_.now() - calm_for;
  const bool both_lived = target.is_up() && target.up_since() <= long_ago && mesh_.at(device).up_since() <= long_ago;
  if (both_lived && mesh_.network().was_calm_since(long_ago)) {
    findings_.add({Invariant::the_living_are_members},
                  fmt::format("device {} declared {} dead, which lives and can be reached", device, *found));
  }
}

// ---- checkers

// What an author tells the others, for check_author_remembers().
void World::on_message(std::size_t from, const dht::Message& message) {
  const auto* store = std::get_if<dht::Store>(&message.body);
  if (store == nullptr || store->purpose != dht::StorePurpose::write) return;
  for (const crypto::Bytes& bytes : store->records) {
    const auto record = dht::Record::parse(bytes);
    if (!record || record->actor().author != mesh_.at(from).signatures().signing_key()) continue;
    record_watch_.on_told(from, *record);
    told_[{from, record->key_hash()}].raise(record->tag(), record->seq());
  }
}

// What a client was told is durable counts as told.
void World::note_acknowledged(std::size_t device, const dht::Completion& completion) {
  const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome);
  if (receipt == nullptr || !receipt->durable) return;
  const dht::KeyHash key = dht::hash_key(receipt->key);
  for (const dht::Row& row : mesh_.at(device).store().read(key).rows) {
    if (row.is_own && row.record.seq() >= receipt->seq) told_[{device, key}].raise(row.record.tag(), receipt->seq);
  }
}

// Checker 1, as early as it shows: after a crash an author's own row is at least as new as what it told the others
// (docs/data-model.md, "Runs").
void World::check_author_remembers(std::size_t author) {
  if (wiped_ || options_.planted == Planted::forgotten_own_row) return;
  for (auto at = told_.lower_bound({author, {}}); at != told_.end() && at->first.first == author; ++at) {
    const dht::KeyHash& key = at->first.second;
    for (const dht::VersionEntry& told : at->second.entries()) {
      findings_.look(Invariant::durable_when_acknowledged);
      if (is_remembered(author, key, told) || clients_.history().was_reaped(key)) continue;
      if (is_outlived(author) || may_be_retired(key, told)) continue;
      findings_.add({Invariant::durable_when_acknowledged, Invariant::acknowledged_stays},
                    fmt::format("device {} crashed and forgot a record that it had sent or acknowledged", author));
    }
  }
}

// In its own row, or in one of a later run that covers it.
bool World::is_remembered(std::size_t author, const dht::KeyHash& key, const dht::VersionEntry& told) {
  return std::ranges::any_of(mesh_.at(author).store().read(key).rows, [&](const dht::Row& row) {
    const bool is_its_run = row.record.tag() == told.tag;
    return row.is_own && (is_its_run ? row.record.seq() : row.record.context_at(told.tag)) >= told.seq;
  });
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
  findings_.look(what.target ? Invariant::hints_arrive : Invariant::kept_until_taken_over);
  if (what.target && knows(*what.target, what)) return;
  const auto replicas = mesh_.at(device).node().replicas_of(dht::partition_of(what.key));
  const bool is_replica = std::ranges::find(replicas, mesh_.at(device).id()) != replicas.end();
  if (!what.target && is_replica && is_finished(device, what)) return check_reaped(what);
  const auto is_provided_for = [&](const dht::NodeId& node) {
    return knows(node, what) || (what.target && is_noted(device, node, what.key));
  };
  if (std::ranges::all_of(replicas, is_provided_for)) return;
  if (mesh_.is_liar(device) || (!what.target && is_outlived(device))) return;
  findings_.add({what.target ? Invariant::hints_arrive : Invariant::kept_until_taken_over},
                fmt::format("device {} let go {} of a key of partition {} that {} lacks", device,
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
    findings_.look(Invariant::reaped_when_safe);
    for (const dht::Row& row : rows) {
      // Whoever holds both has not been told yet, and lets go of both.
      const auto brings_back = [&](const dht::Record& reaped) {
        return dht::supersedes(reaped, row.record) && std::ranges::find(rows, reaped, &dht::Row::record) == rows.end();
      };
      if (std::ranges::none_of(what.records, brings_back)) continue;
      findings_.add({Invariant::reaped_when_safe},
                    fmt::format("a record of {} was reaped while device {} holds an older one", row.record.key(), i));
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

// Nothing has happened for a while that may hide a device from this one.
bool World::is_calm(std::size_t device, dht::Instant since) {
  const dht::Instant long_ago = since - calm_for;
  if (!mesh_.network().was_calm_since(long_ago) || (!is_healed_ && options_.loss > 0)) return false;
  return std::ranges::all_of(mesh_.members(), [&](std::size_t i) {
    Device& member = mesh_.at(i);
    return member.is_up() && member.up_since() <= long_ago && !member.is_leaving() &&
           mesh_.at(device).node().is_usable(member.id());
  });
}

// Checker 9: no table exceeds its limit.
void World::check_limits() {
  Device& device = mesh_.at(rng_.below(mesh_.size()));
  if (!device.is_up()) return;
  const dht::Node& node = device.node();
  findings_.look(Invariant::limits_hold);
  if (node.tickets_open() > dht::limits::tickets_max)
    findings_.add({Invariant::limits_hold}, "more tickets are open than the limit allows");
  if (node.members().size() >= mesh_.size())
    findings_.add({Invariant::limits_hold}, "a node knows more members than there are");
}

double World::device_seconds(dht::Duration time) const {
  return std::chrono::duration<double>(time).count() * static_cast<double>(mesh_.size());
}

// Checker 11: what all send stays below a bound. Nothing is sent again and again for ever.
void World::check_bytes(const char* when, std::uint64_t bytes, dht::Duration time, double rate_max) {
  const double rate = static_cast<double>(bytes) / device_seconds(time);
  if (bytes > 0) findings_.look(Invariant::limits_hold);
  if (rate > rate_max)
    findings_.add({Invariant::limits_hold},
                  fmt::format("{} devices send {:.0f} B/s each, above {}", when, rate, rate_max));
}

// Whoever was leaving had everybody there to take over, and is gone.
void World::check_left() {
  for (const std::size_t i : mesh_.members()) {
    // Nobody may decide about a shard of which the one who lost its disk was half the voters.
    if (mesh_.at(i).is_leaving() && !(wiped_ && options_.has_strong))
      findings_.add({Invariant::replicas_converge}, fmt::format("after healing device {} is still leaving", i));
  }
}

// Everybody has been up for a while, and reachable: everybody takes everybody for alive.
void World::check_views() {
  const std::size_t others = mesh_.members().size() - 1;
  for (const std::size_t i : mesh_.members()) {
    const auto members = mesh_.at(i).node().members();
    const auto is_alive = [](const dht::Member* member) { return member->state == dht::MemberState::alive; };
    const auto alive = std::ranges::count_if(members, is_alive);
    findings_.look(Invariant::the_living_are_members);
    if (static_cast<std::size_t>(alive) == others) continue;
    findings_.add({Invariant::the_living_are_members},
                  fmt::format("after healing device {} takes {} of {} others for alive", i, alive, others));
  }
}

// What was noted for replicas that were away has been delivered, and nobody holds what belongs elsewhere, but spare
// copies of what every replica has confirmed.
void World::check_handed_off() {
  for (const std::size_t i : mesh_.members()) {
    Device& device = mesh_.at(i);
    const std::uint64_t waiting = device.store().totals().outbox;
    findings_.look(Invariant::hints_arrive);
    if (waiting > 0)
      findings_.add({Invariant::hints_arrive, Invariant::replicas_converge},
                    fmt::format("after healing {} deliveries wait at device {}", waiting, i));
    for (const dht::KeyHash& key : device.store().keys_after(std::nullopt)) {
      const auto replicas = device.node().replicas_of(dht::partition_of(key));
      if (std::ranges::find(replicas, device.id()) != replicas.end()) continue;
      const auto rows = device.store().read(key).rows;
      if (!std::ranges::any_of(rows, &dht::Row::is_replica) || dht::are_spare(rows)) continue;
      findings_.add(
          {Invariant::replicas_converge},
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
  for (const std::string& key : keys()) {
    findings_.look(Invariant::replicas_converge);
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
  if (const auto key = differing_key())
    findings_.add({Invariant::replicas_converge}, *key + " differs between its replicas " + std::string(when));
}

}  // namespace kith::sim
