// SPDX-License-Identifier: MIT
// The one row that says how the database stands, written with every commit.
#pragma once

#include <optional>

#include "dht/model/author.h"
#include "store/options.h"
#include "store/seal.h"
#include "store/sqlite.h"

namespace kith::store {

struct Meta {
  bool is_clean = false;  // closed in order; nothing was written since
  Durability durability = Durability::full;
  std::uint64_t commits = 0;  // counted, so that a database that lost the last of them is found out (side_files.h)
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t outbox = 0;
  std::optional<dht::AuthorState> author;
};

// Empty where the row is missing or its seal does not hold.
std::optional<Meta> read_meta(Connection& connection, const Sealer& sealer);

// Prepared once, bound for every commit.
class MetaStatement {
 public:
  static dht::Result<MetaStatement> prepare(Connection& connection);
  bool write(const Meta& meta, const Sealer& sealer);

 private:
  Statement statement_;
};

}  // namespace kith::store
