// SPDX-License-Identifier: MIT
// One simulated device: a disk that survives crashes, a clock of its own, and while it is up the production core. At
// message level that is a dht::Node (message_device.h), at datagram level a dht::Host (datagram_device.h). A device
// plays the driver's part: it wakes the core, commits, and lets out what waited for the commit.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dht/host_outputs.h"
#include "dht/model/mesh.h"
#include "dht/node.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"
#include "tests/sim/watched_store.h"

namespace kith::sim {

// What a device does to the world around it.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  virtual void send(std::size_t from, const dht::NodeId& to, dht::Message message) = 0;
  virtual void carry(std::size_t from, dht::HostOutputs& bytes) = 0;
  virtual void completed(std::size_t device, dht::Completion completion) = 0;
  virtual void changed(std::size_t device, const dht::Change& change) = 0;
  virtual void happened(std::size_t device, const dht::Event& event) = 0;
  virtual void let_go(std::size_t device, const LetGo& what) = 0;
};

// Where a device stands; all of it outlives the device.
struct Place {
  std::size_t index = 0;
  const Options& options;
  Queue& queue;
  Surroundings& surroundings;
};

class Device {
 public:
  Device(const Place& place, crypto::Rng rng);
  virtual ~Device() = default;

  std::size_t index() const { return place_.index; }
  dht::NodeId id() const { return dht::node_id_of(signatures().signing_key()); }
  virtual const dht::Signatures& signatures() const = 0;
  dht::Seed as_seed() const;
  // Older than any that its node makes.
  dht::Contact contact() const;
  WatchedStore& store() { return store_; }
  dht::Instant up_since() const { return up_since_; }
  std::uint64_t boots() const { return boots_; }
  dht::Instant down_since() const { return down_since_; }  // Requires: it is down, and was up before.
  dht::Duration away_for() const { return away_for_; }     // before it last booted
  virtual bool is_up() const = 0;
  dht::Now now() const;           // by its own clock
  virtual dht::Node& node() = 0;  // Requires: is_up().

  void boot();
  void crash();
  void wipe() {
    store_.wipe();
    is_leaving_ = false;
  }
  // The disk is what it was when this was copied. Requires: it is down.
  void roll_back(dht::MemoryStore::Tables tables) { store_.restore(std::move(tables)); }
  // From now on its clock is wrong by so much more than it was from the beginning.
  void set_clock_wrong(std::int64_t by_ms) { clock_step_ms_ = by_ms; }

  // Now, and again whenever it boots: as a daemon whose command line names them. Requires: is_up().
  void join(std::vector<dht::Seed> seeds);
  void forget_seeds() { seeds_.clear(); }

  // Leaves for good, also across crashes, until stay(); refused where nobody would take over. Requires of both:
  // is_up().
  void leave();
  void stay();
  bool is_leaving() const { return is_leaving_; }

  // Requires of all: is_up().
  virtual dht::Ticket put(dht::PutRequest request) = 0;
  virtual dht::Ticket get(const dht::GetRequest& request) = 0;
  virtual dht::Ticket set_policy(const dht::PolicyRequest& request) = 0;
  virtual dht::Ticket watch(dht::WatchRequest request) = 0;
  virtual void grant(dht::Ticket watch, std::size_t credit) = 0;
  virtual dht::Ticket scan(const dht::ScanRequest& request) = 0;
  virtual dht::Ticket restore(const dht::RestoreRequest& request) = 0;

  static dht::Endpoint endpoint_of(std::size_t index);
  // Requires: an endpoint of a device.
  static std::size_t index_of(const dht::Endpoint& endpoint);

 protected:
  virtual void start(const dht::NodeOptions& options) = 0;
  virtual void join_through(std::span<const dht::Seed> seeds) = 0;
  virtual void stop() = 0;
  virtual dht::Status begin_leaving() = 0;
  virtual void stop_leaving() = 0;
  virtual std::optional<dht::Instant> next_deadline() const = 0;
  virtual void on_deadline() = 0;
  virtual void on_committed() = 0;
  virtual bool waits_for_commit() const { return false; }

  const Options& options() const { return place_.options; }
  Surroundings& surroundings() { return place_.surroundings; }
  crypto::Rng& rng() { return rng_; }

  // Call after every input: the core wants to be woken, and something to be committed.
  void go_on();
  // Runs soon, if the device has not crashed by then. What a client's call causes must not complete before it returns.
  void soon(Queue::Action action);

 private:
  void arm();
  void wake(std::uint64_t boot, dht::Instant when);
  void schedule_commit();
  void forget_own_rows();
  void drop_expired();

  Place place_;
  crypto::Rng rng_;
  WatchedStore store_;
  std::int64_t clock_offset_ms_ = 0;
  std::int64_t clock_step_ms_ = 0;
  std::vector<dht::Seed> seeds_;
  std::uint8_t weight_ = 1;
  bool is_leaving_ = false;
  dht::Instant up_since_{};
  dht::Instant down_since_{};
  dht::Duration away_for_{};
  std::uint64_t boots_ = 0;
  bool commit_scheduled_ = false;
  std::optional<dht::Instant> armed_for_;
};

// Of every mesh.
dht::DataKey mesh_data_key();

std::unique_ptr<Device> make_message_device(const Place& place, crypto::Rng rng);
std::unique_ptr<Device> make_datagram_device(const Place& place, crypto::Rng rng);

}  // namespace kith::sim
