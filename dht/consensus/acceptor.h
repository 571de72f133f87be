// SPDX-License-Identifier: MIT
// This node as a voter (CASPaxos §2.2, the acceptor). It promises and accepts for the registers of the shards whose
// configuration names it, and what it has said must be durable before anybody hears it.
//
// A request that goes by an earlier configuration than is known here is fenced off, so that nothing is decided any more
// by voters who have been replaced; one that goes by a later configuration brings it along.
//
// Whoever has just been promised something is given time to use it. Many who want the same register at once would
// otherwise outbid each other for as long as there are many; that nothing is promised to the others harms nobody.
#pragma once

#include <optional>
#include <unordered_map>

#include "dht/consensus/configurations.h"
#include "dht/model/message.h"
#include "dht/model/outputs.h"
#include "dht/model/record_store.h"
#include "dht/model/signatures.h"

namespace kith::dht {

class Acceptor {
 public:
  // What stands behind the references must outlive it.
  Acceptor(const Signatures& signatures, Configurations& configurations)
      : signatures_(signatures), configurations_(configurations) {}

  struct Promise {
    PrepareReply reply;
    Release release = Release::after_commit;
  };
  Promise prepare(Instant now, RecordStore& store, const Prepare& request);
  // What these answer leaves after the commit.
  AcceptReply accept(RecordStore& store, const Accept& request);
  RegistersReply list(RecordStore& store, const Registers& request);

 private:
  struct Held {
    VoteAnswer answer;
    Shard shard = 0;
    Acceptance acceptance;
    bool is_committed = false;  // and nothing was learned
  };
  VoteAnswer admit(RecordStore& store, crypto::ByteSpan configuration, std::uint64_t voter, Held& held);
  template <typename Request>
  Held open(RecordStore& store, const Request& request);
  bool is_taken(Instant now, const Prepare& request, const Acceptance& acceptance) const;
  void note_promise(Instant now, const Prepare& request);
  void keep(RecordStore& store, const std::optional<KeyHash>& key, const Held& held);
  std::optional<ErrorCode> find_fault(const Accept& request, Shard shard) const;
  VoteAnswer no_voter() const { return {.vote = Vote::no_voter, .voter = configurations_.self().tag}; }

  const Signatures& signatures_;
  Configurations& configurations_;
  std::unordered_map<KeyHash, Instant> promised_;  // lately, and not used since
};

}  // namespace kith::dht
