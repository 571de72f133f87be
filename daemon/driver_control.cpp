// SPDX-License-Identifier: MIT
// The driver as the process around the core: its meshes, its invites, its neighbours on the link.
#include <algorithm>

#include "daemon/driver.h"
#include "daemon/log.h"
#include "dht/model/limits.h"

namespace kith::daemon {
namespace {

namespace limits = dht::limits;

const char* durability_word(Durability durability) { return durability == Durability::full ? "full" : "normal"; }

dht::Seed seed_of(const dht::Contact& contact) {
  dht::Seed seed{contact.signing_key, contact.exchange_key, contact.endpoints};
  if (seed.endpoints.size() > limits::invite_endpoints_max) seed.endpoints.resize(limits::invite_endpoints_max);
  return seed;
}

dht::Result<dht::Seed> resolve_seed(const std::string& text) {
  const auto address = dht::seed_address_from_text(text);
  if (!address) return address.error();
  const bool is_ipv6 = address->host.find(':') != std::string::npos;
  const std::string host = is_ipv6 ? "[" + address->host + "]" : address->host;
  auto endpoints = resolve(host + ":" + std::to_string(address->port));
  if (!endpoints) return endpoints.error();
  return dht::Seed{address->signing_key, address->exchange_key, std::move(*endpoints)};
}

dht::Error has_members(const std::string& mesh) {
  return {dht::ErrorCode::denied, "this node has other members in its mesh " + mesh.substr(0, 8) +
                                      "; only a node alone can join another mesh. Use a new --home DIR"};
}

}  // namespace

// ---- the host

void Driver::make_host() {
  const Config& config = options_.config;
  dht::NodeOptions node;
  node.data_key = home_->mesh().data_key;
  node.name = config.node.name;
  node.zone = config.node.zone;
  node.weight = static_cast<std::uint8_t>(config.node.weight);
  node.is_leaving = home_->is_leaving();
  node.n = config.replication.n;
  node.r = config.replication.r;
  node.w = config.replication.w;
  node.value_bytes_max = static_cast<std::size_t>(config.replication.value_bytes_max);
  node.repair_bytes_per_second = static_cast<std::size_t>(config.replication.repair_bytes_per_second);
  node.tombstone_grace = std::chrono::hours(24 * config.replication.tombstone_days);
  host_ =
      std::make_unique<dht::Host>(std::move(node), home_->keys(), home_->mesh(), home_->database(), rng_.bytes<32>());
  host_->number_streams_from(next_stream_);
  host_number_ += 1;
}

// Its connections end with it: what they still bring is for nobody.
void Driver::drop_host() {
  next_stream_ = host_->next_stream();
  host_.reset();
  network_.close_streams();
}

void Driver::start_host() {
  own_endpoints_ = reachable_endpoints(network_.listening(), interface_addresses());
  host_->start(turn_now(), own_endpoints_, out_);
  log_info("listening", {{"node", dht::to_short_text(host_->node().id())},
                         {"name", options_.config.node.name},
                         {"mesh", mesh_text(home_->mesh().id).substr(0, 8)},
                         {"address", dht::to_text(network_.listening().front())},
                         {"socket", options_.socket}});
}

// ---- joining

// Before the host lives: an invite to another mesh decides which mesh it will live in.
dht::Status Driver::enter_configured() {
  for (const std::string& text : options_.config.network.join) {
    if (dht::is_seed_address(text)) continue;
    const auto invite = dht::invite_from_text(text);
    if (!invite) return invite.error();
    if (invite->mesh.id == home_->mesh().id) continue;
    if (home_->has_members()) return has_members(mesh_text(home_->mesh().id));
    const auto count = enter(invite->mesh);
    if (!count) return count.error();
  }
  return dht::Done{};
}

dht::Result<std::uint64_t> Driver::enter(const dht::MeshKeys& mesh) {
  auto count = home_->enter(mesh, rng_, turn_now().wall_ms);
  if (count) log_info("entered a mesh", {{"mesh", mesh_text(mesh.id).substr(0, 8)}, {"records", *count}});
  return count;
}

dht::Status Driver::join_configured() {
  std::vector<dht::Seed> seeds;
  for (const std::string& text : options_.config.network.join) {
    if (dht::is_seed_address(text)) {
      const auto seed = resolve_seed(text);
      if (!seed) return seed.error();
      seeds.push_back(*seed);
      continue;
    }
    const auto invite = dht::invite_from_text(text);
    if (invite) seeds.insert(seeds.end(), invite->seeds.begin(), invite->seeds.end());
  }
  seeds = other_seeds(std::move(seeds));
  if (!seeds.empty()) host_->join(turn_now(), seeds, out_);
  return dht::Done{};
}

// An invite that this node itself gave out names this node.
std::vector<dht::Seed> Driver::other_seeds(std::vector<dht::Seed> seeds) const {
  std::erase_if(seeds, [&](const dht::Seed& seed) { return seed.signing_key == home_->keys().signing_public(); });
  return seeds;
}

dht::Result<Joined> Driver::join(dht::Now now, const std::string& text, dht::HostOutputs& out) {
  const auto invite = dht::invite_from_text(text);
  if (!invite) return invite.error();
  const std::string mesh = mesh_text(home_->mesh().id);
  if (invite->mesh.id == home_->mesh().id) {
    const auto seeds = other_seeds(invite->seeds);
    if (seeds.empty()) return dht::Error{dht::ErrorCode::invalid, "this node gave out that invite; use it on another"};
    host_->join(now, seeds, out);
    return Joined{mesh, 0};
  }
  if (home_->has_members()) return has_members(mesh);
  if (dht::Status status = home_->check_may_enter(now.wall_ms); !status) return status.error();
  // What the host before meant for its mesh goes nowhere.
  drop_host();
  out = {};
  const auto count = enter(invite->mesh);
  make_host();
  start_host();
  if (!count) return count.error();
  host_->join(now, invite->seeds, out);
  if (discovery_) announce();
  return Joined{mesh_text(home_->mesh().id), *count};
}

// ---- leaving

// The file first: what the mesh heard of is gone on with after a crash.
dht::Status Driver::leave(dht::Now now, dht::HostOutputs& out) {
  const bool was_leaving = home_->is_leaving();
  if (dht::Status status = home_->begin_leaving(); !status) return status;
  dht::Status status = host_->leave(now, out);
  if (status) {
    if (!was_leaving) log_info("leaving the mesh for good: what is here is handed over first");
    return status;
  }
  if (dht::Status undone = home_->stay(); !undone) return undone;
  return status;
}

dht::Status Driver::stay(dht::Now now, dht::HostOutputs& out) {
  if (dht::Status status = home_->stay(); !status) return status;
  host_->stay(now, out);
  log_info("staying a member");
  return dht::Done{};
}

void Driver::end_membership() {
  log_info("left the mesh for good");
  has_left_ = true;
  if (const dht::Status status = home_->finish_leaving(); !status) {
    log_error("the next start will leave the mesh again", {{"cause", status.error().message}});
  }
  stop();
}

dht::Result<InviteText> Driver::invite() const {
  const dht::Node& node = host_->node();
  dht::Invite invite{.mesh = home_->mesh(), .seeds = {}};
  if (!node.self().endpoints.empty()) invite.seeds.push_back(seed_of(node.self()));
  for (const dht::Member* member : node.members()) {
    if (invite.seeds.size() == limits::invite_seeds_max) break;
    if (member->state != dht::MemberState::alive || member->contact.endpoints.empty()) continue;
    invite.seeds.push_back(seed_of(member->contact));
  }
  if (invite.seeds.empty()) {
    return dht::Error{dht::ErrorCode::unavailable,
                      "this device has no address that another one could reach: no network is up, or `network.listen` "
                      "names only addresses of one link"};
  }
  InviteText result{dht::to_text(invite), {}};
  for (const dht::Endpoint& endpoint : invite.seeds.front().endpoints) {
    result.endpoints.push_back(dht::to_text(endpoint));
  }
  return result;
}

dht::Status Driver::begin_snapshot(const std::string& file) {
  const store::SnapshotFacts facts{.node = host_->node().id(), .mesh = home_->mesh(), .taken_ms = turn_now().wall_ms};
  return home_->database().begin_snapshot({.file = file, .facts = facts});
}

// ---- the link

void Driver::announce() {
  discovery_->listen_on(own_endpoints_);
  discovery_->start({home_->keys().signing_public(), home_->keys().exchange_public(), network_.port()}, home_->mesh());
}

bool Driver::is_member(const dht::NodeId& node) { return host_->node().is_usable(node); }

void Driver::on_found(const dht::Seed& seed) {
  log_debug("heard a node of this mesh on the link", {{"node", dht::to_short_text(dht::node_id_of(seed.signing_key))},
                                                      {"address", dht::to_text(seed.endpoints.front())}});
  host_->join(turn_now(), std::span(&seed, 1), out_);
}

void Driver::refresh_endpoints() {
  auto endpoints = reachable_endpoints(network_.listening(), interface_addresses());
  if (endpoints == own_endpoints_) return;
  own_endpoints_ = std::move(endpoints);
  host_->set_endpoints(turn_now(), own_endpoints_, out_);
  if (discovery_) discovery_->listen_on(own_endpoints_);
}

// ---- what happened

void Driver::on_event(const dht::Event& event) {
  using Kind = dht::EventKind;
  const std::string node = dht::to_short_text(event.node);
  switch (event.kind) {
    case Kind::member_alive:
      return log_info("member is back", {{"node", node}});
    case Kind::member_suspect:
      return log_info("member is suspected", {{"node", node}});
    case Kind::member_dead:
      return log_warn("member is dead", {{"node", node}});
    case Kind::member_left:
      return log_info("member has left for good", {{"node", node}});
    case Kind::left_mesh:
      return end_membership();
    case Kind::member_joined:
      return log_info("member joined", {{"node", node}});
    case Kind::run_began:
      return log_debug("a new run began", {{"why", event.detail}});
    case Kind::actor_cloned:
      return log_warn("two nodes write under one key", {{"node", node}, {"key", event.detail}});
    case Kind::record_damaged:
      return log_warn("a record on disk is damaged", {{"key", event.detail}});
    case Kind::joined_mesh:
      return log_info("joined", {{"members", host_->node().members().size() + 1}});
    case Kind::join_failed:
      return log_info("no member answered yet", {{"detail", event.detail}});
  }
}

ProcessFacts Driver::facts() const {
  const store::DatabaseCounters counters = home_->database().counters();
  return {.mesh = mesh_text(home_->mesh().id),
          .durability = durability_word(options_.config.storage.durability),
          .data = home_->folder(),
          .has_discovery = options_.config.network.discovery,
          .disk_reserve_bytes = static_cast<std::uint64_t>(options_.config.storage.reserve_bytes),
          .clock_ahead_ms = now_ ? host_->node().clock_ahead_ms(now_->wall_ms) : 0,
          .other_clocks = now_ ? host_->node().clock_survey(*now_) : dht::ClockSurvey{},
          .port = network_.port(),
          .started = started_,
          .clients = server_->size(),
          .cache_hits = counters.cache_hits,
          .cache_misses = counters.cache_misses,
          .misses_spared = counters.misses_spared,
          .rows_damaged = counters.rows_damaged,
          .reads_failed = counters.reads_failed,
          .datagrams_unsent = network_.datagrams_unsent()};
}

}  // namespace kith::daemon
