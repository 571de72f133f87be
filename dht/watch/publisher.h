// SPDX-License-Identifier: MIT
// Tells those who watch what has changed here. A subscription is a lease of one node for one key, or for all keys that
// begin alike. It keeps in mind which keys have changed, not how: however often one changes before it is told, that is
// once, and where there are too many, all keys are told anew. So nothing grows, and the latest is never left out.
//
//   Watch ──► what is here ─┐
//             what changes ─┴─► changed keys ──Changed──► the watcher, which reads them
//                                    ▲            │
//                                    └─ silence ──┘
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dht/model/message.h"
#include "dht/model/outputs.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Publisher {
 public:
  // `first` is random: what a node says of its subscriptions differs from what it said before it restarted.
  explicit Publisher(std::uint64_t first) : last_number_(first >> 2U) {}

  WatchReply on_watch(Turn& turn, const NodeId& from, const Watch& watch);

  // These were written in this turn.
  void on_changed(Turn& turn, const std::vector<KeyHash>& keys);

  void on_reply(Turn& turn, const RequestOwner& owner, const Body& body);
  void on_silence(Turn& turn, const RequestOwner& owner);
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const;

  bool has_subscriptions() const { return !subscriptions_.empty(); }
  std::size_t size() const { return subscriptions_.size(); }

 private:
  using Name = std::pair<NodeId, std::uint64_t>;  // the watcher, and its number of it
  enum class Scan : std::uint8_t { records, registers, done };
  struct Subscription {
    Name name;
    std::string target;
    bool is_prefix = false;
    Instant lease_end;
    std::set<KeyHash> changed;
    KeyHash last_told;  // they are told in order of their hashes, round and round: none is passed over for ever
    // What is here is told, too, page by page.
    Scan scan = Scan::done;
    std::optional<KeyHash> scanned;
    bool is_whole_told = false;
    bool is_anew = false;
    // While a message is under way: what it told.
    bool is_telling = false;
    bool tells_whole = false;
    bool tells_anew = false;
    std::set<KeyHash> telling;
    std::optional<Instant> again;
  };

  void forget_ended(Instant now);
  static bool is_watched(const Subscription& subscription, std::string_view key);
  static KeyHash take_next(Subscription& subscription);
  void note(Subscription& subscription, const KeyHash& key) const;
  void tell(Turn& turn, Ticket number, Subscription& subscription);
  Changed next_message(Turn& turn, Subscription& subscription) const;
  void add_change(Turn& turn, Subscription& subscription, const KeyHash& key, Changed& message) const;
  void look_further(Turn& turn, Subscription& subscription) const;
  void look_at_registers(Turn& turn, Subscription& subscription) const;

  Ticket last_number_;
  std::map<Ticket, Subscription> subscriptions_;
  std::map<Name, Ticket> numbers_;
};

}  // namespace kith::dht
