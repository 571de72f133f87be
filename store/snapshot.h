// SPDX-License-Identifier: MIT
// A snapshot: one file that is a whole copy of a node's database, and reading it on whatever node (docs/storage.md).
//
//   the tables of kith.db as they stood at one commit  ·  snapshot: which node, its mesh's keys, when
//
// It is a plain SQLite database that carries kith's page checksums and has an application id of its own, so that nobody
// takes it for kith.db. Its rows' seals are of the node that made it and mean nothing to others: whoever reads it must
// prove each record by its author's signature. It holds the secret of the mesh, so that the mesh can live on from this
// file alone, and it does not hold node.key: nobody can be that node with it.
//
// A row that the node kept as its author alone is no copy: what the replicas took since, a deletion perhaps, is not
// here. Such a record is read from the file only where replicas may lack it: it waited in the outbox, or had just been
// written and was on its way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dht/model/id.h"
#include "dht/model/mesh.h"
#include "dht/model/result.h"
#include "dht/model/time.h"
#include "store/sqlite.h"

namespace kith::store {

struct SnapshotFacts {
  dht::NodeId node;
  dht::MeshKeys mesh;
  dht::WallMs taken_ms = 0;
};

// Writes the facts into a finished copy and makes it a snapshot.
dht::Status mark_as_snapshot(Connection& copy, const SnapshotFacts& facts);

class SnapshotFile {
 public:
  // Opens the file and reads it through once, which takes seconds for gigabytes; the file is not changed.
  // Errors: not_found; denied; invalid (no snapshot, or a damaged one); unsupported (of a later kith).
  static dht::Result<SnapshotFile> open(const std::string& path);

  const SnapshotFacts& facts() const { return facts_; }
  std::uint64_t records() const { return records_; }  // those that records_after() gives

  // Records as they lie, unproved, with the number by which reading goes on after each.
  struct Stored {
    std::int64_t row = 0;
    crypto::Bytes record;
  };
  // Up to count_max records, or some mebibyte of them, after that number (0: from the beginning); none at the end.
  // Errors: invalid.
  dht::Result<std::vector<Stored>> records_after(std::int64_t row, std::size_t count_max);

  // Records of policies, unproved; none where the snapshot is older than these.
  dht::Result<std::vector<crypto::Bytes>> policies();
  // Signed contacts of members, unproved.
  dht::Result<std::vector<crypto::Bytes>> contacts();

 private:
  SnapshotFile() = default;

  dht::Status read_facts();
  dht::Status find_left_out();
  dht::Result<std::vector<crypto::Bytes>> blobs(const char* sql);
  dht::Error damaged() const;

  std::string path_;
  Connection connection_;
  Statement records_after_;
  SnapshotFacts facts_;
  std::vector<std::int64_t> left_out_;  // rows that were the author's alone, in order
  std::uint64_t records_ = 0;
};

}  // namespace kith::store
