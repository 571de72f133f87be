// SPDX-License-Identifier: MIT
// Keeps the voters of each shard where placement would have its replicas: it proposes the next configuration, one voter
// in and one out at a time, and brings what the registers hold to the new voters.
//
//   settled ──placement differs for a while──► proposing ──decided──► joint ──all registers carried over──► proposing
//      ▲                                                                                                        │
//      └──────────────────────────────────────────── decided ──────────────────────────────────────────────────┘
//
// Any voter may do it, and several at once do no harm: each step is decided by the register of its epoch. The first of
// them in the configuration's order begins at once, the next waits a little longer.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "dht/consensus/configurations.h"
#include "dht/consensus/proposal.h"
#include "dht/consensus/register_table.h"

namespace kith::dht {

class Reconfiguration {
 public:
  struct Options {
    std::size_t n = 3;
    // How long placement must differ before voters change: a device that restarts, or looks in, moves nothing.
    Duration after = std::chrono::seconds(60);
  };
  // What stands behind the references must outlive it.
  Reconfiguration(Options options, Configurations& configurations, Proposer& proposer, RegisterTable& registers)
      : options_(options), configurations_(configurations), proposer_(proposer), registers_(registers) {}

  void start(Instant now) { next_look_ = now; }
  void on_reply(Turn& turn, const RequestOwner& owner, const Body& reply);
  void on_silence(Turn& turn, const RequestOwner& owner, Proposal::Failure why);
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const { return next_look_; }
  // A member came back: what led nowhere may go on now.
  void hurry();
  // Registers may have been carried over since the last call.
  void take_carried(Turn& turn);

  // This node decides about some shard: it must not go before others do that.
  bool is_voter() const;
  // The same of shards whose majority is here, and can let them.
  bool is_voter_for_now(const Neighbours& neighbours) const;

  // Makes the voters that are here decide alone, in every shard that has no majority. What only those held that are
  // gone is lost, and should they come back, what they decided meanwhile is. Returns for how many shards it did.
  std::size_t force(Turn& turn);

 private:
  // The registers of a shard, page by page, as its voters list them.
  struct Survey {
    struct Page {
      Voter voter;
      enum class State : std::uint8_t { waiting, listed, failed } state = State::waiting;
      RegistersReply reply;
    };
    std::optional<KeyHash> after;
    std::vector<Page> pages;
    std::deque<KeyHash> wanted;          // still to be carried over
    std::map<Ticket, KeyHash> carrying;  // under way
    bool is_last = false;
  };
  struct Work {
    std::optional<Configuration> about;  // what the rest belongs to
    std::optional<Instant> differs_since;
    Instant next_try{};
    Duration pause{};  // doubles as long as trying leads nowhere
    bool has_leftovers = true;
    std::optional<Proposal> proposal;
    crypto::Bytes proposed;
    std::optional<Survey> survey;
    std::size_t phase = 0;  // counts up, as a proposal's does
  };

  void look(Turn& turn, Shard shard);
  void drop_leftovers(Turn& turn, Shard shard);
  bool is_my_turn(const Turn& turn, const Configuration& configuration, Work& work, Duration wait) const;
  std::optional<std::vector<Voter>> next_members(Turn& turn, const Configuration& configuration);
  std::optional<Voter> newcomer(Turn& turn, const Configuration& configuration, const std::vector<NodeId>& placed);
  std::vector<Voter>::iterator to_replace(Turn& turn, std::vector<Voter>& members, const std::vector<NodeId>& placed,
                                          const NodeId& newcomer) const;
  Duration patience(Turn& turn, const Configuration& configuration, std::size_t next_size) const;
  bool is_as_named(const Neighbours& neighbours, const Voter& voter) const;
  bool may_try(const Turn& turn, Work& work) const;
  bool is_about_known(Shard shard) const { return works_[shard].about == *configurations_.of(shard); }
  void tell_of_lapse(Turn& turn, const Configuration& configuration, Work& work);
  static bool may_be_here(const Neighbours& neighbours, const NodeId& node);
  void ask_for_tags(Turn& turn, const std::vector<NodeId>& placed);

  void propose(Turn& turn, Configuration next);
  void settle(Turn& turn, Shard shard);

  void survey(Turn& turn, Shard shard);
  void ask_page(Turn& turn, Shard shard);
  void take_page(Turn& turn, Shard shard);
  void go_on_carrying(Turn& turn, Shard shard);

  Options options_;
  Configurations& configurations_;
  Proposer& proposer_;
  RegisterTable& registers_;
  std::array<Work, shard_count> works_;
  std::optional<Instant> next_look_;
};

}  // namespace kith::dht
