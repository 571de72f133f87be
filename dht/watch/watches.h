// SPDX-License-Identifier: MIT
// Watches of this node's clients. A client is told what is there now, then of each change; per key in order, each
// version at most once, and the latest always, however often a device fails in between: what is told is what a read
// shows. What came and went before it could be told is left out, so a client that is slow costs no room.
//
//   Feed: a key changed ──► read ──► every watch of it: news? ──credit──► Change
//                             ▲                        └──no credit──► due ─┐
//                             └───────────── when there is credit ──────────┘
//
// A client that was away names the versions that it saw last; what is still so is not told again. That needs no memory
// here, so it holds across restarts, and at any member.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dht/model/requests.h"
#include "dht/model/token.h"
#include "dht/watch/feed.h"

namespace kith::dht {

class Watches {
 public:
  // `first` is random: holders may still keep in mind what this node asked for before it restarted.
  Watches(const DataKey& data_key, std::uint64_t first)
      : data_key_(data_key), last_ticket_(first_ticket | first >> 3U) {}

  // Requires: the target is canonical. The ticket completes only by an error: quota, where this node or a holder has no
  // room for it, or too_large, where there are more keys below a prefix than limits::watched_keys_max.
  Ticket open(Turn& turn, const WatchRequest& request);
  Ticket refuse(Turn& turn, Error error);
  void close(Ticket watch);
  // So many more changes may be told.
  void grant(Ticket watch, std::size_t credit);

  static bool is_ticket(Ticket ticket) { return (ticket & first_ticket) != 0 && ticket >> 63U == 0; }
  std::size_t size() const { return watches_.size(); }
  bool is_idle() const { return watches_.empty() && reads_.empty(); }

  // Each feed whose time it is, or all, asks those that may hold some of it.
  enum class Which : std::uint8_t { due, all };
  template <typename HoldersOf>
  void tend(Turn& turn, Which which, HoldersOf holders_of) {
    for (auto& [number, feed] : feeds_) {
      const auto due = feed.next_tend();
      const bool is_due = which == Which::all || (due && *due <= turn.now.instant);
      if (is_due) feed.tend(turn, holders_of(feed.target()));
    }
  }
  void on_back(const NodeId& node);
  // Keys may be read by other rules from now on.
  void on_policies();

  ChangedReply on_changed(const NodeId& from, const Changed& changed);
  void on_reply(Turn& turn, const NodeId& from, const RequestOwner& owner, const Body& body);
  void on_silence(Instant now, const NodeId& node, const RequestOwner& owner);
  void on_deadline(Turn& turn);
  std::optional<Instant> next_tend() const;
  std::optional<Instant> next_deadline() const;

  // What is to be read now, each to be answered by started().
  struct Wanted {
    Ticket feed = 0;
    KeyHash key;
    std::string name;
    bool is_repeated = false;  // all replicas are to be asked
    bool only_looks = false;   // of a register: nothing need be settled for it
  };
  std::vector<Wanted> take_wanted();
  void started(Ticket read, const Wanted& wanted) { reads_.emplace(read, wanted); }
  bool is_read(Ticket ticket) const { return reads_.contains(ticket); }
  // Requires: is_read(completion.ticket).
  void on_read(Turn& turn, const Completion& completion);
  // Lists what is due where there is credit, tells those whose beginning is over, and ends those that cannot go on.
  void settle(Turn& turn);

 private:
  static constexpr Ticket first_ticket = Ticket{1} << 62U;
  static constexpr std::size_t reads_max = 64;  // under way

  using Dots = std::vector<std::pair<NodeId, Seq>>;  // of what a client is shown
  // What a client was told of a key.
  struct Told {
    VersionVector version;      // of all that it was told
    VersionVector last;         // of what it was told last
    std::optional<Dots> shown;  // absent: what it saw before this watch, some value
    Seq newest = 0;

    bool is_present() const { return !shown || !shown->empty(); }
  };
  // What a read showed.
  struct News {
    const Completion& completion;
    const ReadAnswer& answer;
    const KeyHash& key;
    VersionVector version;
    Dots shown;
    bool is_all = false;  // that was heard of
  };
  struct Watching {
    Ticket feed = 0;
    std::map<KeyHash, Told> told;
    std::map<KeyHash, std::string> due;  // there may be news, and there was no credit
    std::size_t credit = 0;
    bool is_current = false;
    std::uint64_t forgotten = 0;  // by the feed, when `told` was last looked through
  };

  Feed& feed_for(const Feed::Target& target, Ticket& number);
  void take_over(Watching& watching, Feed& feed, const WatchRequest& request);
  static bool is_answered(const Feed::Key& key, const News& news);
  static bool is_news(const Told& told, const News& news);
  void tell(Turn& turn, Ticket ticket, Watching& watching, const News& news);
  static void list_due(const Watching& watching, Feed& feed);
  static void forget_absent(Watching& watching, const Feed& feed);
  void end(Turn& turn, Ticket ticket, const Feed& feed);
  static Dots shown_in(const ReadAnswer& answer);

  DataKey data_key_;
  Ticket last_ticket_;
  std::map<Ticket, Watching> watches_;
  std::map<Ticket, Feed> feeds_;
  std::map<Feed::Target, Ticket> numbers_;
  std::unordered_map<Ticket, Wanted> reads_;
  Ticket last_read_for_ = 0;  // the feed that has had its turn
};

}  // namespace kith::dht
