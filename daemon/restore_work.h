// SPDX-License-Identifier: MIT
// The method `restore`: the records of a snapshot brought back into a living mesh, each as a write of today would be
// (dht/replication/coordinator_restore.cpp).
//
//   opening (a thread reads the file through) ──► bringing, some records at a time ──► answered
//
// Merging the same record again changes nothing, so a restore that ended early is begun again, from where it was.
#pragma once

#include <future>
#include <map>
#include <optional>
#include <string>

#include "daemon/responder.h"
#include "dht/host.h"
#include "store/snapshot.h"

namespace kith::daemon {

class RestoreWork {
 public:
  // Must outlive this.
  explicit RestoreWork(Responder& responder) : responder_(responder) {}

  // Begins to read the file through on a thread.
  void begin(dht::Now now, const Waiting& from, RestoreCall call);
  void client_closed(ClientId client);
  // Another host took the place of the one that was asked.
  void abandon(const dht::Error& error);

  bool owns(dht::Ticket ticket) const { return in_flight_.contains(ticket); }
  // Requires: owns the ticket.
  void completed(const dht::Completion& completion);

  // To be called when something completed, and at the deadline. `room`: an error while nothing may be written.
  struct Surroundings {
    dht::Host& host;
    const dht::Status& room;
    dht::HostOutputs& out;
  };
  void advance(dht::Now now, const Surroundings& surroundings);
  bool is_idle() const { return !job_ && !opening_.valid(); }
  std::optional<dht::Instant> next_deadline() const;

 private:
  struct Brought {
    store::SnapshotFile::Stored stored;
    int tries = 0;
  };
  struct Job {
    Waiting from;
    RestoreCall call;
    dht::Instant began{};
    dht::Instant next_look{};
    std::optional<store::SnapshotFile> file = {};
    std::vector<Brought> waiting = {};  // read and not asked for yet, the last one first
    std::int64_t read_to = 0;
    bool is_read = false;
    std::uint64_t done = 0;
    std::uint64_t refused = 0;
    std::uint64_t waiting_here = 0;  // of those done: no replica has taken them yet, nor a stand-in
    std::string first_refusal = {};
  };

  bool open();
  void bring_more(dht::Now now, const Surroundings& surroundings);
  bool read_more();
  void ask(dht::Now now, const Surroundings& surroundings, Brought brought);
  void on_failure(Brought brought, const dht::Error& error);
  std::int64_t place() const;
  void stop(dht::Error error);
  void answer(dht::Now now);

  Responder& responder_;
  std::optional<Job> job_;
  std::future<dht::Result<store::SnapshotFile>> opening_;  // may outlast its client
  std::map<dht::Ticket, Brought> in_flight_;
  std::size_t bytes_in_flight_ = 0;
  std::optional<dht::Error> failure_;  // ends the job
};

}  // namespace kith::daemon
