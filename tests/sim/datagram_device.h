// SPDX-License-Identifier: MIT
// A device at datagram level: the production dht::Host with real keys, so everything between the packet and the disk is
// the product. About thirty fit a run.
#pragma once

#include "crypto/keys.h"
#include "dht/host.h"
#include "dht/model/crypto_signatures.h"
#include "tests/sim/device.h"

namespace kith::sim {

class DatagramDevice final : public Device {
 public:
  DatagramDevice(const Place& place, crypto::Rng rng);

  const dht::Signatures& signatures() const override { return signatures_; }
  bool is_up() const override { return host_ != nullptr; }
  dht::Node& node() override { return host_->node(); }

  dht::Ticket put(dht::PutRequest request) override;
  dht::Ticket get(const dht::GetRequest& request) override;
  dht::Ticket set_policy(const dht::PolicyRequest& request) override;
  dht::Ticket watch(dht::WatchRequest request) override;
  void grant(dht::Ticket watch, std::size_t credit) override;
  dht::Ticket scan(const dht::ScanRequest& request) override;
  dht::Ticket restore(const dht::RestoreRequest& request) override;

  // What the network does to it (roads.h). Ignored while it is down.
  void receive_datagram(const dht::Endpoint& from, crypto::ByteSpan bytes);
  dht::StreamId next_accepted() const { return next_accepted_; }  // the name of the stream that accept() makes
  void accept(const dht::Endpoint& from);
  void stream_connected(dht::StreamId stream);
  void stream_received(dht::StreamId stream, crypto::ByteSpan bytes);
  void stream_drained(dht::StreamId stream, std::size_t unsent_bytes);
  void stream_closed(dht::StreamId stream);

 private:
  void start(const dht::NodeOptions& options) override;
  void join_through(std::span<const dht::Seed> seeds) override;
  void stop() override { host_.reset(); }
  dht::Status begin_leaving() override;
  void stop_leaving() override;
  std::optional<dht::Instant> next_deadline() const override { return host_->next_deadline(); }
  void on_deadline() override;
  void on_committed() override;

  // One turn of the driver.
  template <typename Input>
  void turn(Input input);
  void end_turn(dht::HostOutputs& out);
  void release(dht::HostOutputs& out);

  crypto::NodeKeys keys_;
  dht::MeshKeys mesh_;
  dht::CryptoSignatures signatures_;
  std::unique_ptr<dht::Host> host_;
  std::uint64_t next_batch_ = 1;  // what is written now becomes durable with this commit
  dht::StreamId next_accepted_ = 1;
};

}  // namespace kith::sim
