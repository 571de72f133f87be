// SPDX-License-Identifier: MIT
// The control socket's methods: a request becomes a call of the core, its completion becomes the response
// (docs/socket.md). Knows neither sockets nor clocks.
//
//   request ──► params ──► host ──► ticket ── … ──► completion ──► response
//                  ├── mget, mput: a batch of tickets, answered one by one, in a window that the client's reading paces
//                  └── watch: a ticket that stays open, and changes, which its reading paces as well
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/census.h"
#include "daemon/leave_work.h"
#include "daemon/read_room.h"
#include "daemon/repair_work.h"
#include "daemon/responder.h"
#include "daemon/restore_work.h"
#include "daemon/rpc_params.h"
#include "daemon/snapshot_work.h"
#include "dht/host.h"
#include "dht/model/limits.h"

namespace kith::daemon {

struct Joined {
  std::string mesh;
  std::uint64_t records = 0;  // signed anew
};

struct InviteText {
  std::string invite;
  std::vector<std::string> endpoints;  // of this node, in the invite
};

// What the methods need of the process around the core.
class Control : public SnapshotSource {
 public:
  virtual dht::Host& host() = 0;
  // Another number: another host, in which the tickets of the one before mean nothing.
  virtual std::uint64_t host_number() const = 0;
  virtual dht::StoreTotals totals() const = 0;
  virtual ProcessFacts facts() const = 0;

  // An error while no write can be kept (a disk that is nearly full).
  virtual dht::Status accepts_writes() = 0;

  // Error: unavailable, where nobody is known who could be reached.
  virtual dht::Result<InviteText> invite() const = 0;

  // Takes this node into the mesh of the invite; that a member answered is told later, by an event. host() may be
  // another one afterwards, even where the join failed.
  virtual dht::Result<Joined> join(dht::Now now, const std::string& invite, dht::HostOutputs& out) = 0;

  // Begins to leave the mesh for good, or goes on; and takes it back. Durable when they return.
  virtual dht::Status leave(dht::Now now, dht::HostOutputs& out) = 0;
  virtual dht::Status stay(dht::Now now, dht::HostOutputs& out) = 0;

  virtual void on_event(const dht::Event& event) = 0;

  virtual void stop() = 0;
};

class Service {
 public:
  // Both must outlive the service.
  Service(Control& control, Clients& clients)
      : control_(control),
        clients_(clients),
        responder_(clients),
        snapshot_(control, responder_),
        restore_(responder_),
        repair_(responder_),
        leave_(responder_) {}

  // Requires: message is a request.
  void request(dht::Now now, ClientId client, const RpcMessage& message, dht::HostOutputs& out);
  void client_closed(ClientId client);

  // The client took output: its batches may go on.
  void client_drained(dht::Now now, ClientId client, dht::HostOutputs& out);

  // Takes completions and events out of `out`, and those that follow from them, until none is left.
  void settle(dht::Now now, dht::HostOutputs& out);

  // False while the client has as much in flight, or unread, as it may: nothing more of it should be read.
  bool has_room(ClientId client) const;
  // A batch of it does, with nothing under way that would take it on.
  bool waits_for_room(ClientId client) const;

  void on_deadline(dht::Now now, dht::HostOutputs& out);
  std::optional<dht::Instant> next_deadline() const;

  // Without watches, which stay open.
  std::size_t tickets_open() const { return asked_.size() - watching_.size(); }

  // Answers everything that is open with this error; for the end of a process that cannot go on.
  void fail_all(const dht::Error& error);

  // Work for idle time (the census of a status). step() does a part of it.
  bool has_idle_work() const { return !awaiting_census_.empty(); }
  void step(dht::Now now);

 private:
  struct Call {
    Waiting from;
    RpcValue params;
  };
  using Method = void (Service::*)(dht::Now, const Call&, dht::HostOutputs&);
  static Method find_method(std::string_view name);

  // What a ticket was asked for.
  struct Asked {
    Waiting from;
    std::uint64_t batch = 0;  // 0: none
    std::uint32_t index = 0;  // within the batch
    Shown shown = Shown::newest;
    std::size_t expected_bytes = 0;  // of what is read
  };
  struct Batch {
    Waiting from;
    dht::Instant started{};
    std::vector<dht::GetRequest> reads = {};
    std::vector<dht::PutRequest> writes = {};
    Shown shown = Shown::newest;
    std::vector<std::size_t> again = {};  // to be read again: the client had no room for it
    std::size_t next = 0;
    std::size_t in_flight = 0;
    std::size_t expected_bytes = 0;  // that its reads in flight may answer
    std::size_t found = 0;
    std::size_t failed = 0;

    bool is_read() const { return writes.empty(); }
    std::size_t size() const { return reads.size() + writes.size(); }
    bool has_more() const { return next < size() || !again.empty(); }
    bool is_done() const { return !has_more() && in_flight == 0; }
    std::size_t take_index();
  };
  struct Client {
    std::size_t requests = 0;        // in flight; a batch is one
    std::size_t tickets = 0;         // in flight
    std::size_t expected_bytes = 0;  // that those of them that read may answer
  };
  struct Watching {
    Waiting from;
    Shown shown = Shown::newest;
    std::uint64_t told = 0;
    std::size_t untaken = 0;  // changes that the client has had no room for
  };
  struct Joining {
    Waiting from;
    dht::Instant started{};
    dht::Instant deadline{};
    Joined joined;
  };

  void put(dht::Now now, const Call& call, dht::HostOutputs& out);
  void del(dht::Now now, const Call& call, dht::HostOutputs& out);
  void incr(dht::Now now, const Call& call, dht::HostOutputs& out);
  void get(dht::Now now, const Call& call, dht::HostOutputs& out);
  void mget(dht::Now now, const Call& call, dht::HostOutputs& out);
  void mput(dht::Now now, const Call& call, dht::HostOutputs& out);
  void scan(dht::Now now, const Call& call, dht::HostOutputs& out);
  void chunks(dht::Now now, const Call& call, dht::HostOutputs& out);
  void status(dht::Now now, const Call& call, dht::HostOutputs& out);
  void members(dht::Now now, const Call& call, dht::HostOutputs& out);
  void locate(dht::Now now, const Call& call, dht::HostOutputs& out);
  void watch(dht::Now now, const Call& call, dht::HostOutputs& out);
  void unwatch(dht::Now now, const Call& call, dht::HostOutputs& out);
  void ns_set(dht::Now now, const Call& call, dht::HostOutputs& out);
  void ns_list(dht::Now now, const Call& call, dht::HostOutputs& out);
  void invite(dht::Now now, const Call& call, dht::HostOutputs& out);
  void join(dht::Now now, const Call& call, dht::HostOutputs& out);
  void hot(dht::Now now, const Call& call, dht::HostOutputs& out);
  void snapshot(dht::Now now, const Call& call, dht::HostOutputs& out);
  void restore(dht::Now now, const Call& call, dht::HostOutputs& out);
  void repair(dht::Now now, const Call& call, dht::HostOutputs& out);
  void leave(dht::Now now, const Call& call, dht::HostOutputs& out);
  void force_config(dht::Now now, const Call& call, dht::HostOutputs& out);
  void stop(dht::Now now, const Call& call, dht::HostOutputs& out);

  void write(dht::Now now, const Call& call, dht::Result<dht::PutRequest> request, dht::HostOutputs& out);
  void begin(dht::Now now, Batch batch, dht::HostOutputs& out);
  void advance(dht::Now now, std::uint64_t number, dht::HostOutputs& out);
  void read_on(dht::Now now, std::uint64_t number, Batch& batch, dht::HostOutputs& out);
  void write_on(dht::Now now, std::uint64_t number, Batch& batch, dht::HostOutputs& out);
  void write_next(dht::Now now, std::uint64_t number, Batch& batch, dht::HostOutputs& out);
  void completed_item(const Asked& asked, const dht::Completion& completion);
  void expect(dht::Ticket ticket, const Asked& asked);
  void ended(const Asked& asked);
  void completed(dht::Now now, const dht::Completion& completion, dht::HostOutputs& out);
  void answer(const Asked& asked, const dht::Completion& completion);
  void answer_item(const Asked& asked, Batch& batch, const dht::Completion& completion);
  void changed(dht::Now now, const dht::Change& change, dht::HostOutputs& out);
  void tell_further(dht::Now now, ClientId client, dht::HostOutputs& out);
  void on_event(dht::Now now, const dht::Event& event);
  void finish_join(dht::Now now);
  void go_on_with_restore(dht::Now now, dht::HostOutputs& out);
  RepairWork::Surroundings around_repair();
  void write_status(dht::Now now, const Waiting& to, const PartitionCounts& partitions);
  static std::size_t room_for(Shown shown);  // what a read may answer
  bool has_room(ClientId client, const Client& state) const;

  Control& control_;
  Clients& clients_;
  Responder responder_;
  Census census_;
  ReadRoom read_room_;  // of a key of a batch
  std::unordered_map<dht::Ticket, Asked> asked_;
  std::unordered_map<std::uint64_t, Batch> batches_;
  std::set<std::uint64_t> to_advance_;  // of batches_: something of them has been answered
  std::unordered_map<dht::Ticket, Watching> watching_;
  std::unordered_map<ClientId, Client> client_states_;
  std::uint64_t last_batch_ = 0;
  std::optional<Joining> joining_;
  SnapshotWork snapshot_;
  RestoreWork restore_;
  RepairWork repair_;
  LeaveWork leave_;
  std::vector<Waiting> awaiting_census_;
  std::vector<dht::Completion> completions_;  // being settled
  std::vector<dht::Change> changes_;
  std::vector<dht::Event> events_;
};

}  // namespace kith::daemon
