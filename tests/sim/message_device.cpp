// SPDX-License-Identifier: MIT
#include "tests/sim/message_device.h"

#include <array>
#include <vector>

namespace kith::sim {

void MessageDevice::start(const dht::NodeOptions& options) {
  node_ = std::make_unique<dht::Node>(options, signatures_, store(), rng().bytes<32>());
  dht::Outputs out;
  const std::array endpoints{endpoint_of(index())};
  node_->start(now(), endpoints, out);
  take(std::move(out));
}

void MessageDevice::stop() {
  node_.reset();
  held_ = {};
}

dht::Status MessageDevice::begin_leaving() {
  dht::Outputs out;
  dht::Status status = node_->leave(now(), out);
  take(std::move(out));
  return status;
}

void MessageDevice::stop_leaving() {
  dht::Outputs out;
  node_->stay(now(), out);
  take(std::move(out));
}

void MessageDevice::join_through(std::span<const dht::Seed> seeds) {
  std::vector<dht::NodeId> nodes;
  for (const dht::Seed& seed : seeds) nodes.push_back(dht::node_id_of(seed.signing_key));
  dht::Outputs out;
  node_->join(now(), nodes, out);
  take(std::move(out));
}

void MessageDevice::receive(const dht::NodeId& from, const dht::Message& message) {
  if (!is_up()) return;
  dht::Outputs out;
  node_->receive(now(), from, message, out);
  take(std::move(out));
}

dht::Ticket MessageDevice::put(dht::PutRequest request) {
  dht::Outputs out;
  const dht::Ticket ticket = node_->put(now(), std::move(request), out);
  take_soon(std::move(out));
  return ticket;
}

dht::Ticket MessageDevice::get(const dht::GetRequest& request) {
  dht::Outputs out;
  const dht::Ticket ticket = node_->get(now(), request, out);
  take_soon(std::move(out));
  return ticket;
}

dht::Ticket MessageDevice::set_policy(const dht::PolicyRequest& request) {
  dht::Outputs out;
  const dht::Ticket ticket = node_->set_policy(now(), request, out);
  take_soon(std::move(out));
  return ticket;
}

dht::Ticket MessageDevice::scan(const dht::ScanRequest& request) {
  dht::Outputs out;
  const dht::Ticket ticket = node_->scan(now(), request, out);
  take_soon(std::move(out));
  return ticket;
}

dht::Ticket MessageDevice::restore(const dht::RestoreRequest& request) {
  dht::Outputs out;
  const dht::Ticket ticket = node_->restore(now(), request, out);
  take_soon(std::move(out));
  return ticket;
}

dht::Ticket MessageDevice::watch(dht::WatchRequest request) {
  dht::Outputs out;
  const dht::Ticket ticket = node_->watch(now(), std::move(request), out);
  take_soon(std::move(out));
  return ticket;
}

void MessageDevice::grant(dht::Ticket watch, std::size_t credit) {
  dht::Outputs out;
  node_->grant(now(), watch, credit, out);
  take(std::move(out));
}

void MessageDevice::on_deadline() {
  dht::Outputs out;
  node_->on_deadline(now(), out);
  take(std::move(out));
}

void MessageDevice::on_committed() {
  dht::Outputs out = std::exchange(held_, {});
  release(out);
}

bool MessageDevice::leaves_at_once(const dht::Send& send) const {
  const Planted planted = options().planted;
  if (send.release == dht::Release::at_once || planted == Planted::acknowledge_before_commit) return true;
  return planted == Planted::store_before_own_commit && std::holds_alternative<dht::Store>(send.message.body);
}

// What needs no commit leaves; the rest joins what the next commit will let out.
void MessageDevice::take(dht::Outputs out) {
  dht::Outputs at_once;
  for (dht::Send& send : out.sends) (leaves_at_once(send) ? at_once : held_).sends.push_back(std::move(send));
  for (dht::Completion& completion : out.completions) {
    (completion.release == dht::Release::at_once ? at_once : held_).completions.push_back(std::move(completion));
  }
  for (dht::Change& change : out.changes) {
    (change.release == dht::Release::at_once ? at_once : held_).changes.push_back(std::move(change));
  }
  at_once.events = std::move(out.events);
  go_on();
  release(at_once);
}

void MessageDevice::take_soon(dht::Outputs out) {
  soon([this, shared = std::make_shared<dht::Outputs>(std::move(out))] { take(std::move(*shared)); });
}

void MessageDevice::release(dht::Outputs& out) {
  for (dht::Send& send : out.sends) {
    const bool is_request = send.message.request_id != 0 && !dht::is_reply(send.message.body);
    if (is_request) node_->left(now().instant, send.message.request_id);
  }
  for (dht::Send& send : out.sends) surroundings().send(index(), send.to, std::move(send.message));
  for (dht::Completion& completion : out.completions) surroundings().completed(index(), std::move(completion));
  for (const dht::Change& change : out.changes) surroundings().changed(index(), change);
  for (const dht::Event& event : out.events) surroundings().happened(index(), event);
}

std::unique_ptr<Device> make_message_device(const Place& place, crypto::Rng rng) {
  return std::make_unique<MessageDevice>(place, std::move(rng));
}

}  // namespace kith::sim
