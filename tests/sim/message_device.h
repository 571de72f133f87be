// SPDX-License-Identifier: MIT
// A device at message level: the production dht::Node, no bytes and no cryptography, for thousands in one process.
#pragma once

#include "tests/sim/device.h"
#include "tests/sim/signatures.h"

namespace kith::sim {

class MessageDevice final : public Device {
 public:
  MessageDevice(const Place& place, crypto::Rng rng)
      : Device(place, std::move(rng)),
        signatures_(place.index,
                    place.options.planted == Planted::unchecked_signatures ? Checking::off : Checking::on) {}

  const dht::Signatures& signatures() const override { return signatures_; }
  bool is_up() const override { return node_ != nullptr; }
  dht::Node& node() override { return *node_; }

  dht::Ticket put(dht::PutRequest request) override;
  dht::Ticket get(const dht::GetRequest& request) override;
  dht::Ticket set_policy(const dht::PolicyRequest& request) override;
  dht::Ticket watch(dht::WatchRequest request) override;
  void grant(dht::Ticket watch, std::size_t credit) override;
  dht::Ticket scan(const dht::ScanRequest& request) override;
  dht::Ticket restore(const dht::RestoreRequest& request) override;
  void receive(const dht::NodeId& from, const dht::Message& message);

 private:
  void start(const dht::NodeOptions& options) override;
  void join_through(std::span<const dht::Seed> seeds) override;
  void stop() override;
  dht::Status begin_leaving() override;
  void stop_leaving() override;
  std::optional<dht::Instant> next_deadline() const override { return node_->next_deadline(); }
  void on_deadline() override;
  void on_committed() override;
  bool waits_for_commit() const override { return !held_.is_empty(); }

  void take(dht::Outputs out);
  void take_soon(dht::Outputs out);
  void release(dht::Outputs& out);
  bool leaves_at_once(const dht::Send& send) const;

  SimSignatures signatures_;
  std::unique_ptr<dht::Node> node_;
  dht::Outputs held_;  // until the next commit
};

}  // namespace kith::sim
