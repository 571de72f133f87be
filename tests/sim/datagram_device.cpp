// SPDX-License-Identifier: MIT
#include "tests/sim/datagram_device.h"

#include <array>

namespace kith::sim {

namespace {

crypto::NodeKeys keys_of(std::size_t index) {
  std::array<std::uint8_t, 32> seed{'s', 'i', 'm'};
  crypto::store_be64(seed.data() + 8, index);
  return crypto::NodeKeys::from_seed(crypto::Secret<32>(seed));
}

dht::MeshKeys mesh_keys() {
  dht::MeshKeys mesh;
  mesh.id = {'s', 'i', 'm'};
  mesh.secret = crypto::Secret<32>(std::array<std::uint8_t, 32>{'m', 'e', 's', 'h'});
  mesh.data_key = mesh_data_key();
  return mesh;
}

}  // namespace

DatagramDevice::DatagramDevice(const Place& place, crypto::Rng rng)
    : Device(place, std::move(rng)), keys_(keys_of(place.index)), mesh_(mesh_keys()), signatures_(keys_, mesh_.id) {}

template <typename Input>
void DatagramDevice::turn(Input input) {
  if (!is_up()) return;
  dht::HostOutputs out;
  input(now(), out);
  end_turn(out);
  release(out);
}

void DatagramDevice::end_turn(dht::HostOutputs& out) {
  const std::uint64_t batch = store().has_uncommitted() ? next_batch_ : next_batch_ - 1;
  host_->end_turn(batch);
  if (options().planted == Planted::acknowledge_before_commit) {
    host_->committed(now(), batch, out);
    host_->end_turn(batch);
  }
  go_on();
}

void DatagramDevice::release(dht::HostOutputs& out) {
  surroundings().carry(index(), out);
  for (dht::Completion& completion : out.completions) surroundings().completed(index(), std::move(completion));
  for (const dht::Change& change : out.changes) surroundings().changed(index(), change);
  for (const dht::Event& event : out.events) surroundings().happened(index(), event);
}

void DatagramDevice::start(const dht::NodeOptions& options) {
  host_ = std::make_unique<dht::Host>(options, keys_, mesh_, store(), rng().bytes<32>());
  const std::array endpoints{endpoint_of(index())};
  turn([&](dht::Now when, dht::HostOutputs& out) {
    host_->committed(when, next_batch_ - 1, out);  // what was durable before this process lived
    host_->start(when, endpoints, out);
  });
}

dht::Status DatagramDevice::begin_leaving() {
  dht::Status status = dht::Done{};
  turn([&](dht::Now when, dht::HostOutputs& out) { status = host_->leave(when, out); });
  return status;
}

void DatagramDevice::stop_leaving() {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->stay(when, out); });
}

void DatagramDevice::join_through(std::span<const dht::Seed> seeds) {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->join(when, seeds, out); });
}

dht::Ticket DatagramDevice::put(dht::PutRequest request) {
  auto out = std::make_shared<dht::HostOutputs>();
  const dht::Ticket ticket = host_->put(now(), std::move(request), *out);
  end_turn(*out);
  soon([this, out] { release(*out); });
  return ticket;
}

dht::Ticket DatagramDevice::get(const dht::GetRequest& request) {
  auto out = std::make_shared<dht::HostOutputs>();
  const dht::Ticket ticket = host_->get(now(), request, *out);
  end_turn(*out);
  soon([this, out] { release(*out); });
  return ticket;
}

dht::Ticket DatagramDevice::set_policy(const dht::PolicyRequest& request) {
  auto out = std::make_shared<dht::HostOutputs>();
  const dht::Ticket ticket = host_->set_policy(now(), request, *out);
  end_turn(*out);
  soon([this, out] { release(*out); });
  return ticket;
}

dht::Ticket DatagramDevice::scan(const dht::ScanRequest& request) {
  auto out = std::make_shared<dht::HostOutputs>();
  const dht::Ticket ticket = host_->scan(now(), request, *out);
  end_turn(*out);
  soon([this, out] { release(*out); });
  return ticket;
}

dht::Ticket DatagramDevice::restore(const dht::RestoreRequest& request) {
  auto out = std::make_shared<dht::HostOutputs>();
  const dht::Ticket ticket = host_->restore(now(), request, *out);
  end_turn(*out);
  soon([this, out] { release(*out); });
  return ticket;
}

dht::Ticket DatagramDevice::watch(dht::WatchRequest request) {
  auto out = std::make_shared<dht::HostOutputs>();
  const dht::Ticket ticket = host_->watch(now(), std::move(request), *out);
  end_turn(*out);
  soon([this, out] { release(*out); });
  return ticket;
}

void DatagramDevice::grant(dht::Ticket watch, std::size_t credit) {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->grant(when, watch, credit, out); });
}

void DatagramDevice::receive_datagram(const dht::Endpoint& from, crypto::ByteSpan bytes) {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->receive_datagram(when, from, bytes, out); });
}

void DatagramDevice::accept(const dht::Endpoint& from) {
  const dht::StreamId stream = std::exchange(next_accepted_, next_accepted_ + 2);
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->stream_accepted(when, stream, from, out); });
}

void DatagramDevice::stream_connected(dht::StreamId stream) {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->stream_connected(when, stream, out); });
}

void DatagramDevice::stream_received(dht::StreamId stream, crypto::ByteSpan bytes) {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->stream_received(when, stream, bytes, out); });
}

void DatagramDevice::stream_drained(dht::StreamId stream, std::size_t unsent_bytes) {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->stream_drained(when, stream, unsent_bytes, out); });
}

void DatagramDevice::stream_closed(dht::StreamId stream) {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->stream_closed(when, stream, out); });
}

void DatagramDevice::on_deadline() {
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->on_deadline(when, out); });
}

void DatagramDevice::on_committed() {
  const std::uint64_t batch = next_batch_++;
  turn([&](dht::Now when, dht::HostOutputs& out) { host_->committed(when, batch, out); });
}

std::unique_ptr<Device> make_datagram_device(const Place& place, crypto::Rng rng) {
  return std::make_unique<DatagramDevice>(place, std::move(rng));
}

}  // namespace kith::sim
