// SPDX-License-Identifier: MIT
// The devices of a run and what lies between them: the network at message level, or the roads at datagram level.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "tests/sim/device.h"
#include "tests/sim/network.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"
#include "tests/sim/trace.h"

namespace kith::sim {

class Roads;

// Who looks on.
class Onlooker {
 public:
  virtual ~Onlooker() = default;
  // A message leaves a device for another one; at message level only.
  virtual void on_message(std::size_t from, const dht::Message& message) = 0;
  // A message leaves for a device, and arrives there, perhaps later, more than once or never. A device may tell itself
  // something; at message level only.
  virtual void on_sent(std::size_t /*from*/, std::size_t /*to*/, const dht::Message&) {}
  virtual void on_arrival(std::size_t /*from*/, std::size_t /*to*/, const dht::Message&) {}
  virtual void on_completed(std::size_t device, dht::Completion completion) = 0;
  virtual void on_change(std::size_t device, const dht::Change& change) = 0;
  virtual void on_event(std::size_t device, const dht::Event& event) = 0;
  virtual void on_let_go(std::size_t device, const LetGo& what) = 0;
};

class Mesh final : public Surroundings {
 public:
  // All references outlive the mesh.
  Mesh(const Options& options, Queue& queue, Trace& trace, Onlooker& onlooker, crypto::Rng rng);
  ~Mesh() override;

  // Schedules the start of every device, from now on.
  void boot_all();
  // As if they had met: the device remembers the contacts of the first `others` devices. Requires: it is down.
  void introduce(Device& device, std::size_t others);
  // When all have been started.
  dht::Duration boot_time() const;

  std::size_t size() const { return devices_.size(); }
  Device& at(std::size_t index) { return *devices_[index]; }
  std::optional<std::size_t> find(const dht::NodeId& node) const;
  bool is_liar(std::size_t device) const { return options_.liars > 0 && device + 1 == devices_.size(); }
  Network& network() { return network_; }

  // Requires: it is up.
  void crash(std::size_t device);
  // The device has left the mesh, and never starts again.
  void retire(std::size_t device);
  bool is_member(std::size_t device) const { return !retired_.contains(device); }
  // Those that have not left.
  std::vector<std::size_t> members() const;
  // By all devices since the run began, with headers; at datagram level, else zero.
  std::uint64_t bytes_sent() const;
  // Faults end: every member is up, and what is sent arrives.
  void heal();

 private:
  void send(std::size_t from, const dht::NodeId& to, dht::Message message) override;
  void carry(std::size_t from, dht::HostOutputs& bytes) override;
  void completed(std::size_t device, dht::Completion completion) override;
  void changed(std::size_t device, const dht::Change& change) override;
  void happened(std::size_t device, const dht::Event& event) override;
  void let_go(std::size_t device, const LetGo& what) override { onlooker_.on_let_go(device, what); }

  void make_devices();
  void deliver(std::size_t from, std::size_t to, const dht::Message& message);
  void tell_lies(dht::Message& message);

  const Options& options_;
  Queue& queue_;
  Trace& trace_;
  Onlooker& onlooker_;
  crypto::Rng rng_;
  Network network_;
  std::unique_ptr<Roads> roads_;  // at datagram level
  std::vector<std::unique_ptr<Device>> devices_;
  std::unordered_map<dht::NodeId, std::size_t> index_of_;
  std::set<std::size_t> retired_;
  bool is_healed_ = false;
};

}  // namespace kith::sim
