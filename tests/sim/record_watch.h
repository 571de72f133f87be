// SPDX-License-Identifier: MIT
// The checker of records (docs/testing.md, "Invariants"): what authors make durable and what devices keep, looked at
// with each commit of each disk.
#pragma once

#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dht/model/counter.h"
#include "tests/sim/disk_watch.h"
#include "tests/sim/findings.h"
#include "tests/sim/mesh.h"

namespace kith::sim {

class RecordWatch final : public DiskWatch {
 public:
  // Both outlive it.
  RecordWatch(Mesh& mesh, Findings& findings) : mesh_(mesh), findings_(findings) {}

  // The device has told another one of this record, if it is its own.
  void on_told(std::size_t device, const dht::Record& record);

  // A message arrives, and is not heard yet.
  void on_arrival(std::size_t from, std::size_t to, const dht::Message& message);
  // A message leaves.
  void on_sent(std::size_t from, std::size_t to, const dht::Message& message);

  void on_authored(std::size_t device, const dht::Record& record, const std::optional<dht::Record>& before) override;
  void on_committed(std::size_t device, const dht::KeyHash& key, const dht::Rows& rows) override;
  void on_durable(std::size_t device, dht::MemoryStore& store) override;
  void on_crashed(std::size_t device, dht::MemoryStore& store) override { on_durable(device, store); }
  void on_replaced(std::size_t device) override;
  void on_note(std::size_t device, const std::optional<dht::Note>& before, const dht::Note& after) override;

 private:
  using Dot = std::pair<dht::ActorTag, dht::Seq>;
  struct DotHash {
    std::size_t operator()(const Dot& dot) const { return dot.first ^ (dot.second * 0x9E3779B97F4A7C15ULL); }
  };
  // What is known of one run of an author.
  struct Run {
    std::size_t device = 0;
    dht::Seq durable = 0;  // the last that a commit has made durable
    dht::Seq issued = 0;   // the last that anybody was told of, or that is durable
    bool has_ended = false;
  };

  using Request = std::tuple<std::size_t, std::size_t, std::uint64_t, std::uint64_t>;  // replica, asker, its boot, id

  Run& run_of(std::size_t device, dht::ActorTag tag);
  void check_dots(const dht::Record& record);
  void check_share(const dht::Record& record, const dht::Entry& entry);
  void check_origin(std::size_t device, const dht::Record& record);
  void check_form(std::size_t device, const dht::Rows& rows);
  void check_progress(std::size_t device, const dht::KeyHash& key, const dht::Rows& rows);

  Mesh& mesh_;
  Findings& findings_;
  std::map<dht::ActorTag, Run> runs_;
  std::unordered_map<Dot, std::size_t, DotHash> contents_;  // of entries, by their dots
  std::unordered_map<Dot, std::size_t, DotHash> authored_;  // the bytes of records that their authors made durable
  std::map<Request, std::vector<dht::KeyHash>> stored_;     // the keys that a replica was given
  std::map<Dot, dht::Sums> shares_;                         // by actor and birth
  // What a device has held of a key, since it last held nothing; the last of it is there now.
  struct Held {
    std::set<std::uint64_t> all;
    std::uint64_t last = 0;
  };
  std::map<std::pair<std::size_t, dht::KeyHash>, Held> held_;
};

}  // namespace kith::sim
