// SPDX-License-Identifier: MIT
// What the clients of a run did and saw, and what must hold of it (docs/testing.md, "Checkers").
//
// Every value is unique: it names the write that made it. Three kinds of keys tell different things (what counters tell
// is another matter: counter_history.h):
//
//   own      written by one client, one write after the other: the order of the writes says what may be read
//   shared   written by all, with the version of the last read or without one
//   careful  written by all, but only with a version: a write replaces what its client had seen, and nothing else
//
// Of each write the history keeps two sets that bound what it replaces, from what its client knew and never from what
// the mesh says: `surely` (it must stay replaced) and `maybe` (nothing else may vanish).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/model/requests.h"
#include "tests/sim/findings.h"

namespace kith::sim {

enum class KeyKind : std::uint8_t { own, shared, careful, counter, policy };

using Writes = std::set<std::uint64_t>;  // by number

// A version that a client holds, and the writes that it stands for.
struct Knowledge {
  crypto::Bytes version;
  Writes surely;
  Writes maybe;
};

struct Intent {
  std::string key;
  KeyKind kind = KeyKind::own;
  std::size_t device = 0;
  dht::NodeId author;  // the device's node
  bool is_delete = false;
  bool reads_first = false;  // it may not have been made yet when it is asked for
  dht::Instant began{};
  std::optional<Knowledge> knowledge;  // absent: a blind write
};

// One write as its client sees it.
struct Written {
  std::uint64_t number = 0;
  Intent intent;
  Writes surely;  // replaced by it; what those replaced among them
  Writes maybe;
  bool is_acknowledged = false;
  bool is_weak = false;                        // acknowledged with fewer than two copies at replicas
  std::optional<dht::Instant> unwritten_at{};  // when it was acknowledged with none
  std::set<dht::Seq> seqs;                     // that its author gave it
};

// One answer to a client.
struct Seen {
  std::string reader;  // changes when its daemon restarts
  KeyKind kind = KeyKind::own;
  dht::Instant asked;
  dht::Instant answered;
  const dht::ReadAnswer& answer;
};

class History {
 public:
  // Returns the number that names the write; its value is value_of(number).
  std::uint64_t begin_write(Intent intent);
  // The author has given the write this seq; a tombstone has no value that would name it.
  void note_seq(std::uint64_t number, dht::Seq seq) {
    writes_.at(number).seqs.insert(seq);
    reading_.erase(number);
  }
  // It failed, or its daemon died: it is not made any more.
  void give_up(std::uint64_t number) { reading_.erase(number); }

  // There was no room for it: nobody ever sees it.
  void refuse(std::uint64_t number) { refused_.insert(number); }
  std::size_t refused() const { return refused_.size(); }

  // The mesh has forgotten this delete, and may answer that there is nothing; expired entries are not told apart.
  void note_reaped(const dht::KeyHash& key, dht::Seq seq) { reaped_[key].insert(seq); }
  std::size_t reaped() const { return reaped_.size(); }
  bool was_reaped(const dht::KeyHash& key) const { return reaped_.contains(key); }

  // Returns what the client knows now. `reader` as in Seen.
  Knowledge acknowledge(std::uint64_t number, const dht::Receipt& receipt, const std::string& reader, dht::Instant now);

  static crypto::Bytes value_of(std::uint64_t number);
  // Some are manifests: they take the place of values, and values theirs.
  static dht::EntryKind entry_kind_of(std::uint64_t number);

  // Checkers 2, 3 and 7 on one answer. Returns what the client knows now.
  Knowledge observe(const Seen& seen, Findings& findings);

  // Checkers 1 and 3: what is read after healing, with all replicas, accounts for every acknowledged write.
  void check_final(const Seen& seen, Findings& findings) const;

  // This disk was lost. What was acknowledged with fewer than two copies may be gone, and its author with what it
  // knew of its own earlier writes.
  void forgive_wipe(std::size_t device) {
    weak_is_forgiven_ = true;
    wiped_.insert(device);
  }

  // A device lost what was in its memory. Who died may have been the only one to have what was acknowledged since then
  // from memory alone.
  void forgive_crash(dht::Instant since);

  std::vector<std::string> keys() const;
  KeyKind kind_of(const std::string& key) const;
  std::size_t writes() const { return writes_.size(); }
  std::size_t acknowledged() const;

 private:
  static std::optional<std::uint64_t> number_of(const dht::ReadValue& value);
  std::uint64_t delete_behind(const std::string& key, dht::Seq seq, const std::optional<dht::NodeId>& author) const;
  Writes visible_in(const dht::ReadAnswer& answer) const;
  void add_reaped(const std::string& key, Writes& visible) const;
  Writes replaced_by(const Writes& numbers) const;
  bool is_binding(const Written& written) const;
  bool may_have_been_replaced(const Written& written) const;
  void check_values(const Seen& seen, Findings& findings) const;
  void check_order(const Seen& seen, const Writes& visible, Findings& findings);
  void check_replaced(const Seen& seen, const Writes& visible, Findings& findings);

  std::map<std::uint64_t, Written> writes_;
  Writes reading_;  // may not have been made yet: what comes meanwhile may be part of what they replace
  std::map<std::string, std::vector<std::uint64_t>> of_key_;
  // By reader and own key: the newest write it was told of, and when.
  std::map<std::pair<std::string, std::string>, std::map<dht::Instant, std::uint64_t>> newest_told_;
  // By reader and key: what the reader has known to be replaced, and since when.
  std::map<std::pair<std::string, std::string>, std::map<std::uint64_t, dht::Instant>> gone_;
  std::map<dht::KeyHash, std::set<dht::Seq>> reaped_;
  std::set<std::size_t> wiped_;
  Writes refused_;
  Writes forgotten_;  // perhaps, in a crash
  std::uint64_t last_number_ = 0;
  bool weak_is_forgiven_ = false;
};

}  // namespace kith::sim
