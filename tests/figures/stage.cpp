// SPDX-License-Identifier: MIT
#include "tests/figures/stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dht/model/limits.h"
#include "dht/replication/placement.h"
#include "dht/wire.h"
#include "tests/sim/signatures.h"

namespace kith::figures {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t datagram_headers = 28 + 32;  // IP and UDP; a session's packet
constexpr std::size_t segment_headers = 52;        // IP and TCP with its options
constexpr std::size_t segment_bytes = 1448;
constexpr std::size_t frame_headers = 20;

std::size_t bytes_on_the_road(const dht::Message& message) {
  const std::size_t bytes = dht::write_message(message).size();
  if (bytes <= dht::limits::datagram_plaintext_bytes_max) return bytes + datagram_headers;
  const std::size_t frames = 1 + bytes / dht::limits::frame_plaintext_bytes_max;
  const std::size_t segments = 1 + (bytes + frames * frame_headers) / segment_bytes;
  return bytes + frames * frame_headers + segments * segment_headers;
}

std::size_t bytes_of(const std::vector<crypto::Bytes>& records) {
  std::size_t bytes = 0;
  for (const crypto::Bytes& record : records) bytes += record.size();
  return bytes;
}

std::size_t record_bytes(const dht::Body& body) {
  if (const auto* store = std::get_if<dht::Store>(&body)) return bytes_of(store->records);
  if (const auto* items = std::get_if<dht::ItemsReply>(&body)) return bytes_of(items->records);
  if (const auto* compared = std::get_if<dht::CompareReply>(&body)) return bytes_of(compared->records);
  return 0;
}

bool is_of_descent(const dht::Body& body) {
  return std::holds_alternative<dht::Compare>(body) || std::holds_alternative<dht::CompareReply>(body) ||
         std::holds_alternative<dht::Items>(body) || std::holds_alternative<dht::ItemsReply>(body);
}

bool is_of_digests(const dht::Body& body) {
  return std::holds_alternative<dht::Fetch>(body) || std::holds_alternative<dht::FetchReply>(body);
}

bool is_of_membership(const dht::Body& body) {
  return std::holds_alternative<dht::Ping>(body) || std::holds_alternative<dht::PingReply>(body) ||
         std::holds_alternative<dht::Probe>(body) || std::holds_alternative<dht::ProbeReply>(body) ||
         std::holds_alternative<dht::Gossip>(body) || std::holds_alternative<dht::Join>(body) ||
         std::holds_alternative<dht::Members>(body) || std::holds_alternative<dht::MembersReply>(body);
}

bool is_of_voters(const dht::Body& body) {
  return std::holds_alternative<dht::Prepare>(body) || std::holds_alternative<dht::PrepareReply>(body) ||
         std::holds_alternative<dht::Accept>(body) || std::holds_alternative<dht::AcceptReply>(body) ||
         std::holds_alternative<dht::Registers>(body) || std::holds_alternative<dht::RegistersReply>(body) ||
         std::holds_alternative<dht::ConfigurationQuery>(body) || std::holds_alternative<dht::ConfigurationReply>(body);
}

dht::Record strangers_record(std::size_t number, const crypto::Bytes& value) {
  static const sim::SimSignatures stranger(1'000'000, sim::Checking::on);
  const dht::Seq seq = dht::seq_at(1'600'000'000'000);
  const dht::Entry entry{.seq = seq, .bytes = value};
  return dht::Record::sign({.key = fmt::format("default/{}", number),
                            .actor = {stranger.signing_key(), 1},
                            .seq = seq,
                            .context = nullptr,
                            .entries = std::span(&entry, 1)},
                           stranger);
}

crypto::Rng rng_of(std::uint64_t seed) {
  std::array<std::uint8_t, 32> bytes{'s', 't', 'a', 'g', 'e'};
  crypto::store_be64(bytes.data() + 8, seed);
  return crypto::Rng(bytes);
}

}  // namespace

Options quiet_options(std::uint64_t seed, int devices) {
  Options options;
  options.seed = seed;
  options.nodes = devices;
  options.delay_min = 1ms;
  options.delay_max = 5ms;
  options.commit_min = 1ms;
  options.commit_max = 3ms;
  return options;
}

Stage::Stage(const Options& options)
    : options_(options), rng_(rng_of(options.seed)), mesh_(options_, queue_, trace_, *this, rng_.fork()) {}

void Stage::furnish(std::size_t devices, std::size_t values, std::size_t value_bytes) {
  dht::View view;
  for (std::size_t i = 0; i < devices; ++i) {
    mesh_.introduce(device(i), devices);
    view.add(device(i).contact());
  }
  dht::Placement placement(view);
  crypto::Bytes value(value_bytes);
  for (std::size_t i = 0; i < values; ++i) {
    rng_.fill(value);
    const dht::Record record = strangers_record(i, value);
    keys_.push_back(record.key_hash());
    for (const dht::NodeId& node :
         placement.replica_set(dht::partition_of(keys_.back()), static_cast<std::size_t>(options_.n)).replicas) {
      device(*mesh_.find(node)).store().replace(keys_.back(), {{.record = record, .is_replica = true}});
    }
  }
  for (std::size_t i = 0; i < devices; ++i) device(i).store().commit();
}

void Stage::run(dht::Duration duration) {
  queue_.run_until(queue_.now() + duration, [] { return false; });
}

dht::Duration Stage::run_until(const std::function<bool()>& claim, dht::Duration limit) {
  const dht::Instant began = queue_.now();
  while (!claim() && queue_.now() - began < limit) run(1s);
  return queue_.now() - began;
}

void Stage::on_message(std::size_t from, const dht::Message& message) {
  on_said(from, message);
  const std::size_t bytes = bytes_on_the_road(message);
  if (is_of_membership(message.body)) {
    traffic_.membership += bytes;
    return;
  }
  if (is_of_voters(message.body)) {
    traffic_.voters += bytes;
    return;
  }
  const auto* store = std::get_if<dht::Store>(&message.body);
  const bool is_write = store != nullptr && store->purpose == dht::StorePurpose::write;
  if (is_write) writes_asked_.insert(message.request_id);
  const bool answers_write =
      std::holds_alternative<dht::StoreReply>(message.body) && writes_asked_.erase(message.request_id) > 0;
  if (is_write || answers_write) {
    traffic_.writes += bytes;
  } else {
    traffic_.repair += bytes;
    traffic_.records += record_bytes(message.body);
    if (is_of_descent(message.body)) traffic_.descents += bytes - record_bytes(message.body);
    if (is_of_digests(message.body)) traffic_.digests += bytes;
  }
}

bool Stage::is_whole() {
  std::size_t up = 0;
  for (std::size_t i = 0; i < mesh_.size(); ++i) up += device(i).is_up() ? 1 : 0;
  for (std::size_t i = 0; i < mesh_.size(); ++i) {
    if (!device(i).is_up()) continue;
    const auto members = device(i).node().members();
    const auto is_alive = [](const dht::Member* member) { return member->state == dht::MemberState::alive; };
    if (static_cast<std::size_t>(std::ranges::count_if(members, is_alive)) + 1 < up) return false;
    const dht::Repair::Progress progress = device(i).node().repair_progress();
    if (!progress.is_counted || progress.peers_differing > 0 || progress.descents_open > 0) return false;
  }
  return are_replicas_equal();
}

// As the first device that is up sees the replicas.
bool Stage::are_replicas_equal() {
  std::size_t first = 0;
  while (!device(first).is_up()) ++first;
  const std::array<std::uint8_t, 32> digest_key{};
  for (const dht::KeyHash& key : keys_) {
    std::optional<dht::RowsDigest> expected;
    for (const dht::NodeId& node : device(first).node().replicas_of(dht::partition_of(key))) {
      const auto digest = dht::digest_of(device(*mesh_.find(node)).store().read(key).rows, digest_key);
      if (expected && *expected != digest) return false;
      expected = digest;
    }
  }
  return true;
}

}  // namespace kith::figures
