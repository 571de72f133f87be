// SPDX-License-Identifier: MIT
#include "tests/support/stored.h"

#include <array>

#include "crypto/assert.h"

namespace kith::tests {

dht::Record record_of(const Written& written) {
  const HashSignatures signatures(written.author);
  const dht::Entry entry{.seq = written.seq,
                         .kind = written.kind,
                         .expires_ms = written.expires_ms,
                         .op_id = {},
                         .bytes = crypto::as_bytes(written.value)};
  return dht::Record::sign({.key = written.key,
                            .actor = {.author = signatures.signing_key(), .run = 1},
                            .seq = written.seq,
                            .context = nullptr,
                            .entries = std::span(&entry, 1)},
                           signatures);
}

dht::Row replica_row(const Written& written) {
  return {.record = record_of(written), .is_own = false, .is_replica = true};
}

std::string numbered_name(std::size_t number) { return "default/" + std::to_string(number); }

std::string value_of(const dht::KeyRows& rows) {
  if (rows.rows.size() != 1) return {};
  const crypto::ByteSpan bytes = rows.rows.front().record.entry(0).bytes;
  return {bytes.begin(), bytes.end()};
}

StoredNode::StoredNode(store::OpenOptions options) : options_(std::move(options)) {
  options_.node_secret.mutable_span()[0] = 7;
  open();
}

void StoredNode::close() {
  KITH_ASSERT(database_->close().has_value());
  database_.reset();
  data_folder_.reset();
}

void StoredNode::open() {
  auto opened = try_open();
  if (!opened) throw std::runtime_error(opened.error().message);
  database_ = std::move(*opened);
}

void StoredNode::reopen() {
  close();
  open();
}

void StoredNode::crash_and_reopen() {
  const std::filesystem::path copy = folder_.file("after-crash");
  std::filesystem::copy(folder_.file("data"), copy);
  database_.reset();
  data_folder_.reset();
  std::filesystem::remove_all(folder_.file("data"));
  std::filesystem::rename(copy, folder_.file("data"));
  open();
}

dht::Result<std::unique_ptr<store::Database>> StoredNode::try_open() {
  if (!data_folder_) {
    auto folder = store::DataFolder::open(folder_.file("data"), 0);
    if (!folder) return folder.error();
    data_folder_.emplace(std::move(*folder));
  }
  return store::Database::open(*data_folder_, options_);
}

}  // namespace kith::tests
