// SPDX-License-Identifier: MIT
#include "store/health.h"

#include <charconv>
#include <filesystem>

#include "store/sqlite.h"

namespace kith::store {

namespace {

dht::Result<std::string> ask(const std::string& path, const std::string& sql) {
  std::error_code failure;
  // SQLite is told to follow no link.
  const std::string resolved = std::filesystem::canonical(path, failure).string();
  dht::Result<Connection> connection =
      Connection::open({.path = failure ? path : resolved, .access = Connection::Access::read_only});
  if (!connection) return connection.error();
  dht::Result<std::string> answer = connection->query(sql);
  connection->abandon();  // the log is its daemon's
  return answer;
}

}  // namespace

dht::Status check_database(const std::string& path) {
  const dht::Result<std::string> verdict = ask(path, "pragma quick_check(1)");
  if (!verdict) return verdict.error();
  if (*verdict != "ok") return dht::Error{dht::ErrorCode::storage, path + ": " + *verdict};
  return dht::Done{};
}

dht::Result<std::uint64_t> count_contacts(const std::string& path) {
  const dht::Result<std::string> answer = ask(path, "select count(*) from contacts");
  if (!answer) return answer.error();
  std::uint64_t count = 0;
  const auto end = std::from_chars(answer->data(), answer->data() + answer->size(), count);
  if (end.ec != std::errc()) return dht::Error{dht::ErrorCode::storage, path + " holds no table of contacts"};
  return count;
}

}  // namespace kith::store
