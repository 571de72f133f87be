// SPDX-License-Identifier: MIT
#include "tests/sim/mesh.h"

#include <array>

#include "tests/sim/message_device.h"
#include "tests/sim/roads.h"

namespace kith::sim {

namespace {

using std::chrono::milliseconds;

}  // namespace

Mesh::Mesh(const Options& options, Queue& queue, Trace& trace, Onlooker& onlooker, crypto::Rng rng)
    : options_(options),
      queue_(queue),
      trace_(trace),
      onlooker_(onlooker),
      rng_(std::move(rng)),
      network_(options, rng_.fork()) {
  make_devices();
}

Mesh::~Mesh() = default;

void Mesh::make_devices() {
  if (options_.level == Level::datagram) {
    roads_ = std::make_unique<Roads>(RoadPlaces{options_, queue_, network_, trace_}, rng_.fork());
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(options_.nodes); ++i) {
    const Place place{i, options_, queue_, *this};
    devices_.push_back(roads_ ? make_datagram_device(place, rng_.fork()) : make_message_device(place, rng_.fork()));
    index_of_[devices_[i]->id()] = i;
    if (roads_) roads_->add(static_cast<DatagramDevice&>(*devices_[i]));
  }
}

std::optional<std::size_t> Mesh::find(const dht::NodeId& node) const {
  const auto found = index_of_.find(node);
  return found == index_of_.end() ? std::nullopt : std::optional(found->second);
}

// ---- coming up

// Joined devices come up together, as after a power cut; the others one after the other, each joining those before it.
void Mesh::boot_all() {
  const dht::Duration interval = milliseconds(options_.starts_joined ? 1 : 20);
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    if (options_.starts_joined) introduce(*devices_[i], devices_.size());
    queue_.at(queue_.now() + interval * static_cast<int>(i), [this, i] {
      devices_[i]->boot();
      if (i == 0 || options_.starts_joined) return;
      devices_[i]->join({devices_[rng_.below(i)]->as_seed(), devices_[0]->as_seed()});
    });
  }
}

dht::Duration Mesh::boot_time() const { return milliseconds(options_.starts_joined ? 1 : 20) * options_.nodes; }

void Mesh::introduce(Device& device, std::size_t others) {
  for (std::size_t i = 0; i < others; ++i) {
    if (i == device.index()) continue;
    const dht::Contact contact = devices_[i]->contact();
    device.store().remember_contact(contact.id, contact.bytes);
  }
  device.store().commit();
}

void Mesh::crash(std::size_t device) {
  trace_.mix(device);
  devices_[device]->crash();
  if (roads_) roads_->on_crash(device);
}

void Mesh::retire(std::size_t device) {
  retired_.insert(device);
  if (devices_[device]->is_up()) crash(device);
}

std::vector<std::size_t> Mesh::members() const {
  std::vector<std::size_t> members;
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    if (is_member(i)) members.push_back(i);
  }
  return members;
}

std::uint64_t Mesh::bytes_sent() const { return roads_ ? roads_->bytes_sent() : 0; }

void Mesh::heal() {
  is_healed_ = true;
  network_.become_reliable(queue_.now());
  if (roads_) roads_->become_reliable();
  for (const std::size_t i : members()) {
    if (!devices_[i]->is_up()) devices_[i]->boot();
  }
}

// ---- messages

void Mesh::send(std::size_t from, const dht::NodeId& to, dht::Message message) {
  const auto target = find(to);
  if (!target) return;
  auto shared = std::make_shared<dht::Message>(std::move(message));
  onlooker_.on_sent(from, *target, *shared);
  if (from == *target) {
    queue_.after({}, [this, from, boot = devices_[from]->boots(), shared] {
      if (devices_[from]->boots() == boot) deliver(from, from, *shared);
    });
    return;
  }
  onlooker_.on_message(from, *shared);
  if (is_liar(from) && !is_healed_) tell_lies(*shared);
  for (const dht::Instant when : network_.deliveries(queue_.now(), from, *target)) {
    queue_.at(when, [this, from, to_index = *target, shared] { deliver(from, to_index, *shared); });
  }
}

void Mesh::deliver(std::size_t from, std::size_t to, const dht::Message& message) {
  if (network_.is_cut(from, to)) return;
  trace_.count_delivery();
  trace_.mix(static_cast<std::uint64_t>(queue_.now().time_since_epoch().count()));
  trace_.mix((from << 32U) ^ (to << 8U) ^ message.body.index());
  trace_.mix(message.request_id);
  onlooker_.on_arrival(from, to, message);
  static_cast<MessageDevice&>(*devices_[to]).receive(devices_[from]->id(), message);
}

// A liar changes the values it hands out; their signatures no longer fit.
void Mesh::tell_lies(dht::Message& message) {
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

void Mesh::carry(std::size_t from, dht::HostOutputs& bytes) { roads_->carry(from, bytes); }

void Mesh::completed(std::size_t device, dht::Completion completion) {
  onlooker_.on_completed(device, std::move(completion));
}

void Mesh::changed(std::size_t device, const dht::Change& change) { onlooker_.on_change(device, change); }

void Mesh::happened(std::size_t device, const dht::Event& event) { onlooker_.on_event(device, event); }

}  // namespace kith::sim
