// SPDX-License-Identifier: MIT
#include "store/health.h"

#include <filesystem>

#include "store/sqlite.h"

namespace kith::store {

dht::Status check_database(const std::string& path) {
  std::error_code failure;
  // SQLite is told to follow no link.
  const std::string resolved = std::filesystem::canonical(path, failure).string();
  dht::Result<Connection> connection =
      Connection::open({.path = failure ? path : resolved, .access = Connection::Access::read_only});
  if (!connection) return connection.error();
  const dht::Result<std::string> verdict = connection->query("pragma quick_check(1)");
  connection->abandon();  // the log is its daemon's
  if (!verdict) return verdict.error();
  if (*verdict != "ok") return dht::Error{dht::ErrorCode::storage, path + ": " + *verdict};
  return dht::Done{};
}

}  // namespace kith::store
