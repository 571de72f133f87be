// SPDX-License-Identifier: MIT
// What this node is told of one key, or of all keys that begin alike, by all that may hold some: its subscriptions, and
// of each key which versions were heard of, and which was read last. Watches of clients that want the same share it.
//
//   tend() ──Watch──► holders ──Changed──► on_changed() ──► next_to_read() ──a read──► took()
//
// What a holder says is a hint: only a read tells what is there, and it is repeated until it shows what was heard of.
#pragma once

#include <deque>
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

class Feed {
 public:
  struct Target {
    std::string name;
    bool is_prefix = false;

    friend auto operator<=>(const Target&, const Target&) = default;
  };
  struct Key {
    std::string name;
    VersionVector heard;
    VersionVector read;
    bool is_present = false;
    bool is_strong = false;
    bool is_queued = false;   // to be read
    bool is_reading = false;  // now
    bool is_stale = false;    // it changed while it was read
    bool is_put_off = false;  // until `again`
    int tries = 0;            // that showed less than was heard of
    int failures = 0;         // since the last read that showed anything
    std::optional<Instant> again;
  };
  // What a read showed.
  struct Shown {
    VersionVector version;
    bool is_present = false;
    bool is_strong = false;
    std::optional<WallMs> expires_ms;
  };

  Feed(Ticket number, Target target) : number_(number), target_(std::move(target)) {}

  // Asks those of `holders` that were not asked for a while. Who is none any more is kept in mind: should it be
  // one again, it says no second time what it has told.
  void tend(Turn& turn, const std::vector<NodeId>& holders);
  std::optional<Instant> next_tend() const;

  void on_back(const NodeId& node);
  // Null: it does not know what was asked.
  void on_reply(Turn& turn, const NodeId& node, const WatchReply* reply);
  void on_silence(Instant now, const NodeId& node);
  // Returns false where the node is no holder: it need not go on telling.
  bool on_changed(const NodeId& node, const Changed& changed);

  // Nobody who is here has anything of the beginning still to tell, and all that was told is read.
  bool is_whole() const;
  bool is_full() const { return is_full_; }        // there are more keys than may be watched
  bool is_refused() const { return is_refused_; }  // a holder has no room for it

  const Target& target() const { return target_; }
  const std::map<KeyHash, Key>& keys() const { return keys_; }
  // Rises when keys that are not there were forgotten.
  std::uint64_t forgotten() const { return forgotten_; }

  // To be read soon, unless it was, and came to nothing, a moment ago.
  void list(const std::string& name);
  void list_all();
  // Of it a client has seen this.
  void expect(const std::string& name, const VersionVector& version);
  void list_due(Instant now);
  std::optional<Instant> next_due() const;
  // Requires: it is read, and took() or took_nothing() told of what came of that.
  std::optional<KeyHash> next_to_read();

  // Returns false where that is less than was heard of, and the key is read again.
  bool took(Now now, const KeyHash& key, const Shown& shown);
  void took_nothing(Instant now, const KeyHash& key);

 private:
  struct Subscription {
    Instant renew{};
    bool is_holder = false;
    bool is_here = false;
    bool is_waiting = false;
    std::uint64_t instance = 0;  // that the holder said last; 0: it has none
    bool is_whole = false;
  };
  void ask(Turn& turn, const NodeId& node, Subscription& subscription);
  void hear(const KeyChange& change);
  Key* find_or_add(const KeyHash& hash, const std::string& name);
  void list(const KeyHash& hash, Key& key);
  void list_at(const KeyHash& hash, Key& key, Instant when);
  template <typename IsMeant>
  void list_present(IsMeant is_meant);
  void make_room();

  Ticket number_;
  Target target_;
  std::map<NodeId, Subscription> subscriptions_;
  std::map<KeyHash, Key> keys_;
  std::deque<KeyHash> to_read_;
  std::set<std::pair<Instant, KeyHash>> delayed_;
  std::uint64_t forgotten_ = 0;
  bool is_neglected_ = true;  // by tend()
  bool is_full_ = false;
  bool is_refused_ = false;
};

}  // namespace kith::dht
