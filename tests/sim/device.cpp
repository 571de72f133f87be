// SPDX-License-Identifier: MIT
#include "tests/sim/device.h"

#include <algorithm>

#include "dht/consensus/configurations.h"

namespace kith::sim {

namespace {

constexpr dht::WallMs epoch_ms = 1'700'000'000'000;

}  // namespace

Device::Device(const Place& place, crypto::Rng rng) : place_(place), rng_(std::move(rng)) {
  const auto spread = static_cast<std::uint64_t>(options().clock_offset_max.count() / 1000);
  clock_offset_ms_ = static_cast<std::int64_t>(rng_.below(2 * spread + 1)) - static_cast<std::int64_t>(spread);
}

dht::Endpoint Device::endpoint_of(std::size_t index) {
  dht::Endpoint endpoint;
  endpoint.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0};
  endpoint.address[14] = static_cast<std::uint8_t>(index >> 8U);
  endpoint.address[15] = static_cast<std::uint8_t>(index);
  endpoint.port = 5484;
  return endpoint;
}

std::size_t Device::index_of(const dht::Endpoint& endpoint) {
  return std::size_t{endpoint.address[14]} << 8U | endpoint.address[15];
}

dht::Seed Device::as_seed() const {
  return {signatures().signing_key(), signatures().exchange_key(), {endpoint_of(index())}};
}

dht::Contact Device::contact() const {
  dht::Contact contact;
  contact.signing_key = signatures().signing_key();
  contact.exchange_key = signatures().exchange_key();
  contact.incarnation = 1;
  contact.endpoints = {endpoint_of(index())};
  return dht::sign_contact(std::move(contact), signatures());
}

dht::Now Device::now() const {
  const auto elapsed_ms = place_.queue.now().time_since_epoch().count() / 1000;
  return {place_.queue.now(), static_cast<dht::WallMs>(static_cast<std::int64_t>(epoch_ms) + elapsed_ms +
                                                       clock_offset_ms_ + clock_step_ms_)};
}

dht::DataKey mesh_data_key() {
  dht::DataKey key;
  key.fill(7);
  return key;
}

void Device::boot() {
  dht::NodeOptions node_options;
  node_options.data_key = mesh_data_key();
  node_options.name = "device";
  node_options.n = options().n;
  node_options.r = options().r;
  node_options.w = options().w;
  node_options.liveness = options().liveness;
  node_options.departure_after = options().departure_after;
  node_options.tombstone_grace = options().tombstone_grace;
  node_options.reconfigure_after = options().reconfigure_after;
  node_options.hot_reads = options().hot_reads;
  if (boots_ > 0 && rng_.chance(options().new_weight_chance)) weight_ = static_cast<std::uint8_t>(1 + rng_.below(4));
  node_options.weight = weight_;
  node_options.is_leaving = is_leaving_;
  if (boots_ == 0 && index() == 0) {
    dht::found_mesh(store_, id(), rng_.fork(), now().wall_ms);
    store_.commit();
  }
  boots_ += 1;
  away_for_ = boots_ > 1 ? place_.queue.now() - down_since_ : dht::Duration{};
  up_since_ = place_.queue.now();
  start(node_options);
  if (!seeds_.empty()) join_through(seeds_);
}

void Device::join(std::vector<dht::Seed> seeds) {
  seeds_ = std::move(seeds);
  join_through(seeds_);
}

// What is written down first is gone on with after a crash.
void Device::leave() {
  is_leaving_ = true;
  if (!begin_leaving()) is_leaving_ = false;
}

void Device::stay() {
  is_leaving_ = false;
  stop_leaving();
}

void Device::crash() {
  stop();
  down_since_ = place_.queue.now();
  commit_scheduled_ = false;
  armed_for_.reset();
  store_.crash();
  if (options().planted == Planted::forgotten_own_row) forget_own_rows();
}

// A defect on purpose: what the author wrote is gone, and the run goes on as if it were not.
void Device::forget_own_rows() {
  std::optional<dht::KeyHash> after;
  do {
    const dht::ScanPage page = store_.scan(after, "", 0, 100);
    for (const std::string& key : page.keys) {
      dht::Rows rows = store_.read(dht::hash_key(key)).rows;
      std::erase_if(rows, [](const dht::Row& row) { return row.is_own; });
      store_.replace(dht::hash_key(key), std::move(rows));
    }
    after = page.next;
  } while (after);
  store_.commit();
  store_.take_let_go();
}

// A defect on purpose: the disk itself drops what has expired.
void Device::drop_expired() {
  for (const dht::KeyHash& key : store_.keys_after(std::nullopt)) {
    const dht::Rows& rows = store_.read(key).rows;
    const bool is_all_over = dht::is_finished(rows, now().wall_ms, 0) && dht::live_entries(rows, now().wall_ms).empty();
    if (is_all_over) store_.replace(key, {});
  }
  store_.commit();
  store_.take_let_go();
}

void Device::go_on() {
  for (const LetGo& what : store_.take_let_go()) surroundings().let_go(index(), what);
  if (!commit_scheduled_ && (store_.has_uncommitted() || waits_for_commit())) schedule_commit();
  arm();
}

void Device::soon(Queue::Action action) {
  place_.queue.after({}, [this, boot = boots_, action = std::move(action)] {
    if (is_up() && boots_ == boot) action();
  });
}

void Device::schedule_commit() {
  commit_scheduled_ = true;
  const auto spread = static_cast<std::uint64_t>((options().commit_max - options().commit_min).count() + 1);
  const dht::Duration delay = options().commit_min + dht::Duration(static_cast<std::int64_t>(rng_.below(spread)));
  place_.queue.after(delay, [this, boot = boots_] {
    if (!is_up() || boots_ != boot) return;
    commit_scheduled_ = false;
    store_.commit();
    if (options().planted == Planted::expiry_in_engine) drop_expired();
    on_committed();
  });
}

void Device::arm() {
  const auto next = next_deadline();
  if (!next) return;
  const dht::Instant when = std::max(*next, place_.queue.now());
  if (armed_for_ && *armed_for_ <= when) return;
  armed_for_ = when;
  place_.queue.at(when, [this, boot = boots_, when] { wake(boot, when); });
}

// An earlier deadline may have turned up since: then that one's wake-up has done, or will do, what is due.
void Device::wake(std::uint64_t boot, dht::Instant when) {
  if (!is_up() || boots_ != boot || armed_for_ != when) return;
  armed_for_.reset();
  const auto next = next_deadline();
  if (!next || *next > place_.queue.now()) return arm();
  on_deadline();
}

}  // namespace kith::sim
