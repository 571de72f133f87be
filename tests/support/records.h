// SPDX-License-Identifier: MIT
// Records of made-up authors, by number.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dht/model/record.h"
#include "tests/support/hash_signatures.h"

namespace kith::tests {

struct Statement {
  std::uint64_t author = 1;
  dht::Run run = 1;
  dht::Seq seq = 1;
  std::string value = "value";
  dht::VersionVector context = {};
  std::vector<std::pair<dht::Seq, std::string>> older = {};  // values that live on
  std::string key = "default/key";
  dht::EntryKind kind = dht::EntryKind::value;
  dht::WallMs expires_ms = 0;
};

inline dht::Actor actor_of(std::uint64_t author, dht::Run run = 1) { return {numbered_key(author), run}; }
inline dht::ActorTag tag_of(std::uint64_t author, dht::Run run = 1) { return dht::tag_of(actor_of(author, run)); }

inline dht::Record record_of(const Statement& statement) {
  std::vector<dht::Entry> entries;
  for (const auto& [seq, value] : statement.older) entries.push_back({.seq = seq, .bytes = crypto::as_bytes(value)});
  entries.push_back({.seq = statement.seq,
                     .kind = statement.kind,
                     .expires_ms = statement.expires_ms,
                     .bytes = crypto::as_bytes(statement.value)});
  return dht::Record::sign({.key = statement.key,
                            .actor = actor_of(statement.author, statement.run),
                            .seq = statement.seq,
                            .context = &statement.context,
                            .entries = entries},
                           HashSignatures(statement.author));
}

inline dht::VersionVector versions(std::initializer_list<dht::VersionEntry> entries) {
  dht::VersionVector vector;
  for (const dht::VersionEntry& entry : entries) vector.raise(entry.tag, entry.seq);
  return vector;
}

inline std::string text_of(crypto::ByteSpan bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace kith::tests
