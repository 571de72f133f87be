// SPDX-License-Identifier: MIT
// What clients of this node do with keys of strong namespaces. Each key is a register, and each write of it a round of
// CASPaxos: what is there now is read from a majority of voters, the condition is checked against it, and the new value
// is accepted by a majority, or nothing is (Rystsov 2018). A read asks a majority; where it does not agree, or what it
// shows has expired, that is settled by a round first, so that no later read shows less.
//
//   done          a majority has accepted it
//   conflict      the condition did not hold; nothing was written, nor will be
//   indeterminate the time was over: it may take effect, now or later, or never
//   unavailable   no majority answered in time, or others were first; nothing was written
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dht/consensus/proposal.h"
#include "dht/model/author.h"
#include "dht/model/deadlines.h"
#include "dht/model/register_value.h"
#include "dht/model/requests.h"
#include "dht/model/token.h"

namespace kith::dht {

class RegisterTable {
 public:
  struct Options {
    DataKey data_key{};
    std::size_t value_bytes_max = limits::value_bytes_default;
  };
  // What stands behind the references must outlive it.
  RegisterTable(Options options, Author& author, Proposer& proposer)
      : options_(options), author_(author), proposer_(proposer) {}

  // Requires of both: the key is canonical, its namespace strong. Each ticket completes exactly once; none is a ticket
  // of the coordinator.
  Ticket put(Turn& turn, PutRequest request);
  Ticket get(Turn& turn, const GetRequest& request);
  // A read that settles nothing: where voters do not agree yet, it is unavailable.
  Ticket look(Turn& turn, const GetRequest& request);
  void cancel(Ticket ticket);

  // Has what the register holds accepted by a majority of the configuration as it is now.
  Ticket carry_over(Turn& turn, const KeyHash& key, Instant deadline);
  struct Carried {
    Ticket ticket = 0;
    bool is_done = false;
  };
  std::vector<Carried> take_carried() { return std::exchange(carried_, {}); }

  void on_reply(Turn& turn, const RequestOwner& owner, const Body& reply);
  void on_silence(Turn& turn, const RequestOwner& owner, Proposal::Failure why);
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const { return wakeups_.next(); }

  static bool is_ticket(Ticket ticket) { return ticket >= first_ticket; }
  std::size_t open() const { return operations_.size(); }
  bool is_writing() const { return !queues_.empty(); }

 private:
  static constexpr Ticket first_ticket = Ticket{1} << 63U;

  enum class Kind : std::uint8_t { write, read, carry_over };
  // What is answered once the register holds what was proposed last.
  enum class Conclusion : std::uint8_t { none, written, shown, absent, refused };
  // A record of this operation that voters may have accepted.
  struct Written {
    std::uint64_t revision = 0;
    VersionEntry dot;
    VersionVector version;
  };
  struct Operation {
    Kind kind = Kind::read;
    PutRequest request;  // of a write
    std::optional<VersionVector> expected;
    std::string key;
    KeyHash hash;
    Instant began;
    Instant deadline;
    Proposal proposal;
    std::vector<Written> written;
    std::optional<RegisterValue> current;
    Conclusion conclusion = Conclusion::none;
    bool is_started = false;
    bool is_queued = false;
    bool is_cancelled = false;
    bool only_looks = false;
  };

  Operation make(Kind kind, Ticket ticket, const KeyHash& hash, Instant now) const;
  std::optional<Error> check_room() const;
  std::optional<Error> check(const PutRequest& request) const;
  Ticket begin_read(Turn& turn, const GetRequest& request, bool only_looks);
  void enqueue(Turn& turn, Ticket ticket, Operation& operation);
  void start(Turn& turn, Ticket ticket, Operation& operation);
  void settle(Turn& turn, Ticket ticket);
  void decide(Turn& turn, Ticket ticket, Operation& operation);
  void decide_unreadable(Turn& turn, Ticket ticket, Operation& operation);
  void decide_read(Turn& turn, Ticket ticket, Operation& operation);
  void decide_write(Turn& turn, Ticket ticket, Operation& operation);
  void refuse(Turn& turn, Ticket ticket, Operation& operation);
  bool prepare_unless_promised(Turn& turn, Ticket ticket, Operation& operation);
  void write_next(Turn& turn, Ticket ticket, Operation& operation);
  Result<crypto::Bytes> sign(Turn& turn, Operation& operation, const WriteIntent& intent);
  void propose(Turn& turn, Operation& operation, Conclusion conclusion);
  bool holds(const Operation& operation, WallMs wall_ms) const;

  void fail(Turn& turn, Ticket ticket, const Operation& operation, Error error);
  void conclude(Turn& turn, Ticket ticket, const Operation& operation, Conclusion conclusion);
  Completion completion_of(const Turn& turn, Ticket ticket, const Operation& operation, Conclusion conclusion) const;
  ReadAnswer answer_of(const Operation& operation, Conclusion conclusion) const;
  Receipt receipt_of(const Operation& operation) const;
  Error conflict_of(const Operation& operation, WallMs wall_ms) const;
  Error failure_of(const Operation& operation) const;
  bool is_hopeless(const Operation& operation) const;
  void end(Turn& turn, Ticket ticket, Completion completion);

  Options options_;
  Author& author_;
  Proposer& proposer_;
  AuthorState reserved_;  // what the store was last told
  Ticket last_ticket_ = first_ticket;
  std::unordered_map<Ticket, Operation> operations_;
  // Of one key, who signs records of it: one at a time, the first is at work. Whether a record is among the ancestors
  // of another can be told by the author's seq alone only because of that; and two would but outbid each other.
  std::map<KeyHash, std::deque<Ticket>> queues_;
  std::vector<Carried> carried_;
  Deadlines<Ticket> wakeups_;
};

}  // namespace kith::dht
