// SPDX-License-Identifier: MIT
// One simulated device: a disk that survives crashes, and while it is up the production dht::Node. It plays the
// driver's part: outputs marked after_commit wait for the disk.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"
#include "tests/sim/signatures.h"

namespace kith::sim {

// What a device does to the world around it.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  virtual void send(std::size_t from, const dht::NodeId& to, dht::Message message) = 0;
  virtual void completed(std::size_t device, dht::Completion completion) = 0;
  virtual void happened(std::size_t device, const dht::Event& event) = 0;
};

class Device {
 public:
  Device(std::size_t index, const Options& options, Queue& queue, Surroundings& surroundings, crypto::Rng rng);

  const dht::NodeId& id() const { return id_; }
  const SimSignatures& signatures() const { return signatures_; }
  dht::MemoryStore& store() { return store_; }
  dht::Node& node() { return *node_; }
  bool is_up() const { return node_ != nullptr; }
  dht::Instant up_since() const { return up_since_; }
  std::uint64_t boots() const { return boots_; }

  void boot();
  void crash();
  void wipe() { store_.wipe(); }

  void join(const std::vector<dht::NodeId>& seeds);
  void receive(const dht::NodeId& from, const dht::Message& message);
  dht::Ticket put(dht::PutRequest request);
  dht::Ticket get(const dht::GetRequest& request);

  static dht::Endpoint endpoint_of(std::size_t index);

 private:
  dht::Now now() const;
  void take(dht::Outputs out);
  void release(dht::Outputs& out);
  void schedule_commit();
  void commit();
  void arm();
  void wake(std::uint64_t boot);
  bool leaves_at_once(const dht::Send& send) const;
  void forget_own_rows();

  std::size_t index_;
  const Options& options_;
  Queue& queue_;
  Surroundings& surroundings_;
  crypto::Rng rng_;
  SimSignatures signatures_;
  dht::NodeId id_;
  dht::MemoryStore store_;
  std::unique_ptr<dht::Node> node_;
  std::int64_t clock_offset_ms_ = 0;
  dht::Instant up_since_{};
  std::uint64_t boots_ = 0;

  dht::Outputs held_;
  bool commit_scheduled_ = false;
  std::optional<dht::Instant> armed_for_;
};

}  // namespace kith::sim
