// SPDX-License-Identifier: MIT
// What one turn of the loop wrote, as a value that goes to the writer's thread.
#pragma once

#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "store/seal.h"

namespace kith::store {

struct PutRow {
  RowName name;
  std::uint8_t roles = 0;
  crypto::Bytes record;
};
struct EraseRow {
  RowName name;
};
struct EraseKey {  // every row of it, whatever their names: some could not be read
  dht::KeyHash key;
};
struct PutOutbox {
  dht::NodeId target;
  dht::KeyHash key;
};
struct EraseOutbox {
  dht::NodeId target;
  dht::KeyHash key;
};
struct PutOperation {
  dht::OpId id{};
  dht::Operation operation;
};
struct PutContact {
  dht::NodeId id;
  crypto::Bytes contact;
};
struct EraseContact {
  dht::NodeId id;
};
struct PutNote {
  dht::Note note;
};
struct EraseNote {
  dht::NoteKind kind = dht::NoteKind::lived;
  crypto::Bytes name;
};
struct PutPolicy {
  dht::KeyHash key;
  crypto::Bytes record;
};
struct PutAcceptance {
  dht::KeyHash key;
  dht::Acceptance acceptance;
};
struct EraseAcceptance {
  dht::KeyHash key;
};
struct PutShard {
  dht::Shard shard = 0;
  crypto::Bytes bytes;
};
using Write = std::variant<PutRow, EraseRow, EraseKey, PutOutbox, EraseOutbox, PutOperation, PutContact, EraseContact,
                           PutNote, EraseNote, PutPolicy, PutAcceptance, EraseAcceptance, PutShard>;

struct Batch {
  std::uint64_t number = 0;
  std::vector<Write> writes{};  // in the order they were made
  std::optional<dht::AuthorState> reserved{};
  std::uint64_t records = 0;  // in the whole store, this batch included
  std::uint64_t bytes = 0;
};

// How a row's claims are stored.
inline constexpr std::uint8_t role_own = 1;
inline constexpr std::uint8_t role_replica = 2;
inline constexpr std::uint8_t role_spare = 4;
std::uint8_t roles_of(const dht::Row& row);
void assign_roles(dht::Row& row, std::uint8_t roles);

// Appends the writes that turn `before` into `after`. Requires: both are rows of the key, in their order (merge.h).
void append_changes(const dht::KeyHash& key, std::span<const dht::Row> before, std::span<const dht::Row> after,
                    std::vector<Write>& writes);

}  // namespace kith::store
