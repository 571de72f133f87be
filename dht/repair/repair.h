// SPDX-License-Identifier: MIT
// Anti-entropy: replicas become equal without anybody reading (docs/protocol.md, "Staying equal"; Dynamo §4.7).
//
//   digest_trie, tally   what is held here, summed up with every write; tracked_store sees to that
//   cover                which partitions are shared with whom
//   namespace_usage      how much of that is of namespaces with a quota; held_share: and so, about, in the mesh
//   catch_up             for which of them this node may not answer yet
//   trie_reader          the trie as it is shown to one peer; answers questions
//   descent              the questions that find a difference and make it good
//
//   in sync ──root digests differ──► differing ──for two rounds──► descending ──no question left──► resting ──► …
//
// Root digests travel on pings and their answers: the driver of this machine asks root() for each that leaves and
// gives on_root() each that came. Of a pair the node with the smaller id leads; the other one only when that is late.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "crypto/rng.h"
#include "dht/repair/catch_up.h"
#include "dht/repair/cover.h"
#include "dht/repair/descent.h"
#include "dht/repair/held_share.h"
#include "dht/repair/pace.h"
#include "dht/repair/tracked_store.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Repair {
 public:
  struct Counters {
    std::uint64_t bytes_sent = 0;        // questions, answers and records, with headers; close, not exact
    std::uint64_t bytes_fetched = 0;     // the same of what answered this node's questions
    std::uint64_t records_repaired = 0;  // by this node's descents, here or at a peer
    std::uint64_t comparisons = 0;       // root digests against root digests
    std::uint64_t comparisons_differing = 0;
    std::uint64_t descents = 0;
    std::uint64_t partitions_differing = 0;  // met by this node's descents
  };
  struct Settings {
    std::size_t replicas = 3;  // of a partition
    std::size_t bytes_per_second = 0;
    Duration period = std::chrono::seconds(2);  // of the pings that carry digests; idle steps and greetings follow it
  };
  struct Progress {
    bool is_filling = false;  // it is new here, and not all that it should hold was found to be here
    bool is_counted = false;  // what is held here has been counted since the start, and who else holds it
    std::size_t peers = 0;    // that share something with this node, and can be used
    std::size_t peers_equal = 0;
    std::size_t peers_differing = 0;  // the others were not compared yet
    std::size_t peers_away = 0;       // that share something, and cannot be used
    std::size_t descents_open = 0;
    std::uint64_t records_elsewhere = 0;  // of partitions that belong to others: kept until they are handed over
    std::uint64_t corrections = 0;        // DigestTrie::corrections()

    bool is_equal() const { return is_counted && !is_filling && peers_equal == peers && descents_open == 0; }
  };
  // What the last comparisons with a peer said. A single difference is a write on its way.
  enum class Verdict : std::uint8_t { open, equal, differing };

  // `disk` outlives this object.
  Repair(RecordStore& disk, const DataKey& data_key, Settings settings, crypto::Rng rng);

  // The store to be used in place of `disk` by everybody else.
  TrackedStore& store() { return store_; }

  void start(Instant now);

  // Over the partitions that this node and the peer both hold; zero while that cannot be told.
  std::uint64_t root(Neighbours& neighbours, const NodeId& peer);
  void on_root(const Turn& turn, const NodeId& peer, std::uint64_t theirs);

  // All are greeted soon: from now on it can be told what is held here.
  void greet_soon(Instant now);
  // A member joined or is back: it is greeted soon.
  void on_back(Instant now, const NodeId& peer);
  // It is doubted, or no road leads there.
  void on_away(const NodeId& peer) { drop(peer); }

  CatchUp& catch_up() { return catch_up_; }

  // What is held here, for others who look at all of it.
  DigestTrie& trie() { return trie_; }
  std::size_t replicas() const { return settings_.replicas; }
  // All is counted, it is known who shares it, and it may be told.
  bool is_ready(const Neighbours& neighbours) const {
    return trie_.is_counted() && cover_.is_current(neighbours) && !neighbours.is_held_back() &&
           !neighbours.is_finding_out();
  }

  // About how many bytes the mesh holds of a namespace whose policy has a quota, each record counted once. Absent while
  // it was not counted here, and where nothing is held here.
  std::optional<std::uint64_t> usage_of(std::string_view name) const;
  // These have one.
  void set_quotas(const std::vector<std::string_view>& names) { trie_.set_usage_of(names); }

  // Requires: all was counted.
  bool holds_nothing() const;

  // Compares with everybody now, and lets no descent wait for its rest.
  void compare_now(Instant now);

  struct Answer {
    Body body;
    Release release = Release::at_once;
  };
  Answer answer(const Turn& turn, const NodeId& from, const Compare& question);
  // Rows that are not durable yet wait for their commit.
  Body answer(const Turn& turn, const NodeId& from, const Items& question);

  // The answer to a request of this machine; or, from this node itself, the verdict on records that it fetched.
  void on_reply(Turn& turn, const NodeId& from, const Body& reply, const RequestOwner& owner);
  void on_silence(const Turn& turn, const RequestOwner& owner);

  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const;

  // Peers to be pinged: nothing was heard of their digests for a while.
  std::vector<NodeId> take_greetings() { return std::exchange(greetings_, {}); }

  const Counters& counters() const { return counters_; }
  Progress progress(const Neighbours& neighbours) const;
  Verdict verdict(const NodeId& peer) const;

 private:
  struct Roots {
    std::uint64_t ours = 0;
    std::uint64_t theirs = 0;
    friend bool operator==(const Roots&, const Roots&) = default;
  };
  struct Pair {
    std::optional<Instant> differs_since;
    bool was_heard = false;                      // a root came from it
    int rounds = 0;                              // of differing digests, one after the other
    std::optional<std::uint64_t> equal_in_view;  // whose cover it was; until it differs
    Instant greet_at{};
    Instant rests_until{};
    Duration rest{};           // after the next descent that brings nothing
    std::uint64_t theirs = 0;  // the last root that came
    Roots explained{};         // those with which a descent brought nothing
    Instant explained_until{};
    // What root() said, and of which state.
    std::uint64_t root = 0;
    std::uint64_t of_trie = ~std::uint64_t{0};
    std::uint64_t of_cover = ~std::uint64_t{0};
  };
  // One that this node leads. Its number is the ticket of its requests.
  struct Led {
    NodeId peer;
    Descent descent;
    bool is_waiting = false;  // for an answer
    std::uint64_t records = 0;
    Instant began{};
    Roots roots{};
  };

  TrieReader reader(const NodeId& peer, std::uint32_t salt);
  void settle_cover(Neighbours& neighbours);
  bool stands(const Turn& turn, const NodeId& peer, const Pair& pair) const;
  void begin_descents(Turn& turn);
  void go_on(Turn& turn, std::uint64_t number);
  void ask(Turn& turn, std::uint64_t number, Body question);
  void merge(Turn& turn, std::uint64_t number, const std::vector<Record>& records);
  std::vector<NodeId> partners(const Neighbours& neighbours) const;
  bool puts_off(const Neighbours& neighbours) const;
  void break_off(Instant now, std::uint64_t number);
  void rest_longer(Instant now, std::uint64_t number);
  void finish(Instant now, std::uint64_t number);
  void drop(const NodeId& peer);
  void greet(const Turn& turn);
  void count(const Turn& turn);
  Duration idle_pause() const { return settings_.period / 2; }
  Duration greeting_interval() const { return settings_.period * 15 / 2; }
  Instant with_jitter(Instant now, Duration wait);
  bool is_count_urgent() const;
  bool is_busy(const Neighbours& neighbours) const;

  Settings settings_;
  DigestTrie trie_;
  TrackedStore store_;
  Cover cover_;
  HeldShare share_;
  CatchUp catch_up_;
  Pace pace_;
  crypto::Rng rng_;
  std::map<NodeId, Pair> pairs_;
  std::map<std::uint64_t, Led> led_;
  std::uint64_t last_number_ = 0;
  std::vector<NodeId> greetings_;
  std::optional<Instant> step_at_;
  Instant round_at_{};  // no earlier all is counted again
  std::uint64_t rounds_ = 0;
  std::optional<Instant> greet_at_;
  Counters counters_;
};

}  // namespace kith::dht
