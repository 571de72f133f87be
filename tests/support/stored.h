// SPDX-License-Identifier: MIT
// Databases and records for tests of the store.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "dht/model/record_store.h"
#include "store/database.h"
#include "tests/support/hash_signatures.h"
#include "tests/support/temporary_folder.h"

namespace kith::tests {

struct Written {
  std::string key = "default/name";
  std::uint64_t author = 1;
  dht::Seq seq = 1;
  std::string value = "value";
  dht::EntryKind kind = dht::EntryKind::value;
  dht::WallMs expires_ms = 0;
};
dht::Record record_of(const Written& written);
dht::Row replica_row(const Written& written);

// The keys of `n` names, "default/0" and on, with one row each.
std::string numbered_name(std::size_t number);

// What the only row of the key says; empty where there is none.
std::string value_of(const dht::KeyRows& rows);

// A data folder that outlives the database in it: reopen() is a stop and a start, crash() leaves what a power cut or a
// kill would, crash_and_reopen() starts from that.
class StoredNode {
 public:
  explicit StoredNode(store::OpenOptions options = {});

  store::Database& database() { return *database_; }
  store::Database* operator->() { return database_.get(); }
  const TemporaryFolder& folder() const { return folder_; }
  std::string file(const char* name) const { return folder_.file(std::string("data/") + name); }

  void close();  // in order
  void open();   // what close() left
  void reopen();
  // Starts anew from the files as they lie now, while the old process still has them open.
  void crash_and_reopen();

  dht::Result<std::unique_ptr<store::Database>> try_open();
  store::OpenOptions& options() { return options_; }

 private:
  TemporaryFolder folder_;
  store::OpenOptions options_;
  std::optional<store::DataFolder> data_folder_;
  std::unique_ptr<store::Database> database_;
};

}  // namespace kith::tests
