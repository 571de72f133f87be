// SPDX-License-Identifier: MIT
#include "tests/sim/roads.h"

#include <algorithm>

namespace kith::sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr dht::Duration retransmission = milliseconds(200);
constexpr dht::Duration connect_timeout = seconds(3);
constexpr dht::Duration tcp_gives_up_after = seconds(15);
constexpr std::size_t datagram_headers = 28;  // of IPv4 and UDP

}  // namespace

void Roads::carry(std::size_t from, dht::HostOutputs& out) {
  const std::uint64_t boot = devices_[from]->boots();
  for (const dht::Datagram& datagram : out.datagrams) bytes_sent_ += datagram.bytes.size() + datagram_headers;
  for (const dht::StreamBytes& each : out.writes) bytes_sent_ += each.bytes.size();
  for (const dht::Datagram& datagram : out.datagrams) carry(from, datagram);
  for (const dht::StreamOpen& request : out.opens) open({from, boot, request.stream}, request.to);
  for (dht::StreamBytes& each : out.writes) {
    append({from, boot, each.stream}, {.arrives = {}, .bytes = std::move(each.bytes), .is_last = false});
  }
  for (const dht::StreamClose& each : out.closes) {
    append({from, boot, each.stream}, {.arrives = {}, .bytes = {}, .is_last = true});
  }
}

// ---- datagrams

void Roads::carry(std::size_t from, const dht::Datagram& datagram) {
  const std::size_t to = Device::index_of(datagram.to);
  if (to >= devices_.size()) return;
  const auto arrivals = places_.network.deliveries(places_.queue.now(), from, to);
  for (const dht::Instant when : arrivals) {
    crypto::Bytes bytes = datagram.bytes;
    if (is_noisy_ && rng_.chance(places_.options.noise)) spoil(bytes);
    places_.queue.at(when, [this, from, to, bytes = std::move(bytes)] { deliver(from, to, bytes); });
  }
  if (!is_noisy_ || !rng_.chance(places_.options.noise / 4)) return;
  crypto::Bytes garbage(1 + rng_.below(1400));
  rng_.fill(garbage);
  places_.queue.after(delay(), [this, from, to, garbage = std::move(garbage)] { deliver(from, to, garbage); });
}

void Roads::deliver(std::size_t from, std::size_t to, const crypto::Bytes& bytes) {
  if (places_.network.is_cut(from, to)) return;
  places_.trace.count_delivery();
  places_.trace.mix(static_cast<std::uint64_t>(places_.queue.now().time_since_epoch().count()));
  places_.trace.mix((from << 40U) ^ (to << 20U) ^ bytes.size());
  devices_[to]->receive_datagram(Device::endpoint_of(from), bytes);
}

void Roads::spoil(crypto::Bytes& bytes) {
  if (!bytes.empty()) bytes[rng_.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << rng_.below(8));
}

// ---- streams

void Roads::open(const End& from, const dht::Endpoint& to) {
  const std::size_t target = Device::index_of(to);
  const bool is_reachable = target < devices_.size() && !places_.network.is_cut(from.device, target) &&
                            !places_.network.is_cut(target, from.device);
  if (!is_reachable) return close_later(from, connect_timeout);
  places_.queue.after(2 * delay(), [this, from, target] { connect(from, target); });
}

void Roads::connect(const End& from, std::size_t to) {
  if (!is_alive(from)) return;
  if (!devices_[to]->is_up()) return close_later(from, delay());  // nobody listens there
  streams_opened_ += 1;
  // The flows first: the host that accepts may write at once.
  const dht::StreamId stream = devices_[to]->next_accepted();
  const End there{to, devices_[to]->boots(), stream};
  flows_[from] = {.to = there, .pieces = {}, .blocked_since = {}};
  flows_[there] = {.to = from, .pieces = {}, .blocked_since = {}};
  devices_[to]->accept(Device::endpoint_of(from.device));
  if (is_alive(from)) devices_[from.device]->stream_connected(from.stream);
}

// A piece arrives after all before it; a lost packet is sent again, and everything behind it waits.
void Roads::append(const End& from, Piece piece) {
  const auto flow = flows_.find(from);
  if (flow == flows_.end()) return;
  if (!piece.is_last && is_noisy_ && rng_.chance(places_.options.noise / 4)) spoil(piece.bytes);
  piece.arrives = places_.queue.now() + delay();
  if (is_noisy_ && rng_.chance(places_.options.loss)) piece.arrives += retransmission;
  auto& pieces = flow->second.pieces;
  if (!pieces.empty()) piece.arrives = std::max(piece.arrives, pieces.back().arrives);
  places_.queue.at(piece.arrives, [this, from] { pump(from); });
  pieces.push_back(std::move(piece));
}

void Roads::pump(const End& from) {
  const dht::Instant now = places_.queue.now();
  const auto found = flows_.find(from);
  if (found == flows_.end() || found->second.pieces.empty() || found->second.pieces.front().arrives > now) return;
  Flow& flow = found->second;
  const End to = flow.to;
  if (places_.network.is_cut(from.device, to.device)) {
    if (!flow.blocked_since) flow.blocked_since = now;
    if (now - *flow.blocked_since > tcp_gives_up_after) return cut(from);
    places_.queue.after(retransmission, [this, from] { pump(from); });
    return;
  }
  flow.blocked_since.reset();
  if (is_noisy_ && rng_.chance(places_.options.stream_cut_chance)) return cut(from);
  const Piece piece = std::move(flow.pieces.front());
  flow.pieces.pop_front();
  if (piece.is_last) return cut(from);
  std::size_t unsent = 0;
  for (const Piece& waiting : flow.pieces) unsent += waiting.bytes.size();
  places_.trace.mix(static_cast<std::uint64_t>(now.time_since_epoch().count()) ^ piece.bytes.size());
  if (DatagramDevice* writer = receiver(from)) writer->stream_drained(from.stream, unsent);
  if (DatagramDevice* reader = receiver(to)) reader->stream_received(to.stream, piece.bytes);
  pump(from);
}

// Both ends learn of it; one that closed by itself ignores it.
void Roads::cut(const End& end) {
  const auto flow = flows_.find(end);
  if (flow == flows_.end()) return;
  const End other = flow->second.to;
  flows_.erase(flow);
  flows_.erase(other);
  close_later(end, delay());
  close_later(other, delay());
}

void Roads::close_later(const End& end, dht::Duration delay) {
  places_.queue.after(delay, [this, end] {
    if (DatagramDevice* device = receiver(end)) device->stream_closed(end.stream);
  });
}

void Roads::on_crash(std::size_t device) {
  std::vector<End> ended;
  for (const auto& [end, flow] : flows_) {
    if (end.device == device) ended.push_back(end);
  }
  for (const End& end : ended) cut(end);
}

bool Roads::is_alive(const End& end) const { return receiver(end) != nullptr; }

DatagramDevice* Roads::receiver(const End& end) const {
  DatagramDevice* device = devices_[end.device];
  return device->is_up() && device->boots() == end.boot ? device : nullptr;
}

dht::Duration Roads::delay() {
  const auto spread = static_cast<std::uint64_t>((places_.options.delay_max - places_.options.delay_min).count() + 1);
  return places_.options.delay_min + dht::Duration(static_cast<std::int64_t>(rng_.below(spread)));
}

}  // namespace kith::sim
