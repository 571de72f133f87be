// SPDX-License-Identifier: MIT
// The method `snapshot`: one request, answered when the file is whole, with notifications of how far it is. A client
// that goes away ends it, and nothing is left.
#pragma once

#include <optional>
#include <string>

#include "daemon/responder.h"
#include "dht/model/time.h"
#include "store/snapshot_copy.h"

namespace kith::daemon {

// How far a request is that takes long (docs/socket.md, "progress").
void notify_progress(Responder& responder, const Waiting& to, std::uint64_t done, std::uint64_t total);

// What can be made into a snapshot.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  virtual dht::Status begin_snapshot(const std::string& file) = 0;
  virtual store::SnapshotProgress snapshot() const = 0;
  virtual void abandon_snapshot() = 0;
};

class SnapshotWork {
 public:
  // Both must outlive this.
  SnapshotWork(SnapshotSource& source, Responder& responder) : source_(source), responder_(responder) {}

  void begin(dht::Now now, const Waiting& from, const std::string& file);
  void client_closed(ClientId client);

  void on_deadline(dht::Now now);
  std::optional<dht::Instant> next_deadline() const;

 private:
  struct Job {
    Waiting from;
    std::string file;
    dht::Instant began{};
    dht::Instant next_look{};
  };
  void answer(dht::Now now, const store::SnapshotProgress& progress);

  SnapshotSource& source_;
  Responder& responder_;
  std::optional<Job> job_;
};

}  // namespace kith::daemon
