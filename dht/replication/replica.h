// SPDX-License-Identifier: MIT
// The replica: answers for the records kept here. What it stores it has verified; what it answers has been committed.
#pragma once

#include "dht/model/author.h"
#include "dht/model/message.h"
#include "dht/model/outputs.h"
#include "dht/model/record_store.h"
#include "dht/model/signatures.h"
#include "dht/model/token.h"
#include "dht/replication/neighbours.h"

namespace kith::dht {

class Replica {
 public:
  struct Counters {
    std::uint64_t records_refused = 0;
    std::uint64_t signatures_bad = 0;  // of those refused
    std::uint64_t records_damaged = 0;
    std::uint64_t actors_cloned = 0;
  };

  Replica(const Signatures& signatures, RecordStore& store, DataKey data_key)
      : signatures_(signatures), store_(store), data_key_(data_key) {}

  struct Answer {
    Body body;
    Release release = Release::at_once;
  };
  // `author_forgot`: this node forgot, or may have, something it wrote; a new run must begin.
  struct StoreOutcome {
    StoreReply reply;
    bool author_forgot = false;
  };

  Answer fetch(const Fetch& request, Neighbours& neighbours);
  StoreOutcome store(WallMs wall_ms, const Store& request, Author& author);
  ScanReply scan(WallMs wall_ms, const Scan& request);

  // Parses and verifies the records of a reply; what fails is dropped and counted.
  Rows verified_rows(WallMs wall_ms, const KeyHash& key, std::span<const crypto::Bytes> records);

  // One of them would be verified, were this node's clock not so far behind it.
  bool is_any_ahead(WallMs wall_ms, const KeyHash& key, std::span<const crypto::Bytes> records) const;

  const Counters& counters() const { return counters_; }

 private:
  void add_registers(ScanPage& page, WallMs wall_ms, const Scan& request);
  FetchAnswer fetch_records(std::size_t bytes_before, const KeyRows& held) const;
  // With as many records as `room` bytes hold.
  FetchAnswer fetch_one(std::size_t room, const KeyRows& held) const;
  Answer fetch_ages(std::span<const KeyHash> keys);
  Answer fetch_ranges(std::span<const KeyRange> ranges, Neighbours& neighbours);
  FetchAnswer fetch_range(std::span<const KeyHash> keys, Neighbours& neighbours, Release& release);
  StoreAnswer store_one(WallMs wall_ms, const crypto::Bytes& bytes, StoreOutcome& outcome, Author& author);

  // Why the record is not kept, here or in a reply; counts what is forged.
  std::optional<ErrorCode> refusal_of(const Record& record, WallMs wall_ms);

  const Signatures& signatures_;
  RecordStore& store_;
  DataKey data_key_;
  Counters counters_;
};

}  // namespace kith::dht
