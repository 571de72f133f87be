// SPDX-License-Identifier: MIT
// A model of one key (docs/data-model.md, "The model of a key"): devices that author and replicate it, clients that
// write with fresh, stale or no tokens, and whatever goes wrong between them. The devices run kith's own author,
// merge and store. Beside them stands the truth, which no device sees: which writes each write really knew of.
#pragma once

#include <bitset>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/author.h"
#include "dht/model/memory_store.h"
#include "tests/support/hash_signatures.h"

namespace kith::tests {

// Rules that a device of the model can break, to see that the checks notice.
enum class PlantedFault {
  none,
  context_not_inherited,     // a new record forgets what the actor's earlier one covered
  run_reused_after_wipe,     // a device that lost its rows goes on under its old name
  covered_by_own_seq,        // a new record replaces all of the actor's values, seen by its client or not
  token_claims_kept_values,  // a write's token covers own values that the client never saw
  sent_before_commit,        // a record leaves, then the crash takes the author's row
  context_ignored_in_merge,  // nothing is ever masked
};

class KeyModel {
 public:
  explicit KeyModel(std::uint64_t seed, PlantedFault fault = PlantedFault::none);
  ~KeyModel();

  // Runs a random schedule, heals the mesh and says which promise was broken, if any.
  std::optional<std::string> run();

  // Every record that a device sent to another: a closed history.
  const std::vector<dht::Record>& history() const { return history_; }

 private:
  static constexpr std::size_t ops_max = 64;
  using Ops = std::bitset<ops_max>;

  // What a client holds: a token, and in truth the writes that it stands for.
  struct Knowledge {
    dht::VersionVector token;
    Ops seen;
  };
  struct Op {
    Ops past;
    bool is_acknowledged = false;
  };
  struct Device;
  struct InFlight {
    std::size_t to;
    dht::Record record;
  };

  void step();
  void write();
  void read();
  void deliver_one();
  void resend(std::size_t from);
  void synchronise(std::size_t from, std::size_t to);
  void crash(Device& device);
  void lose_disk(Device& device);
  void heal();

  // Absent where the author finds itself contradicted: only one that reuses a run is.
  std::optional<dht::Authored> author(Device& device, const dht::WriteIntent& intent, const dht::VersionVector& heard);
  dht::Authored spoil(const Device& device, const dht::WriteIntent& intent, const dht::Rows& rows, dht::Authored good);
  void check_by_definition(const dht::WriteIntent& intent, const dht::Rows& rows, const dht::Authored& authored);
  std::size_t send(std::size_t from, const dht::Record& record);
  bool deliver(Device& device, const dht::Record& record);
  dht::MergeVerdict merge(dht::Rows& rows, const dht::Record& record) const;
  void begin_run_if(Device& device, bool is_needed);

  Ops ops_of(std::span<const dht::Row> rows) const;
  std::vector<std::size_t> live_ops(const Device& device) const;
  std::optional<std::string> find_violation();
  void fail(std::string what);

  PlantedFault fault_;
  crypto::Rng rng_;
  dht::WallMs time_ms_ = 1'790'000'000'000;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::vector<Knowledge>> clients_;
  std::vector<InFlight> in_flight_;
  std::vector<Op> ops_;
  std::vector<dht::Record> history_;
  bool lost_a_disk_ = false;
  std::string violation_;
};

}  // namespace kith::tests
