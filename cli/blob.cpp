// SPDX-License-Identifier: MIT
#include "cli/blob.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/batch.h"
#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;

constexpr int tries_max = 3;
constexpr std::size_t printed_at_once = 64;  // chunks, held until all before them have come

// The bytes of the chunk in the answer to a read of its key.
std::optional<crypto::Bytes> chunk_in(const RpcValue& answer, const crypto::Hash256& hash, ChunkFailure& failure) {
  const RpcValue error = answer["error"];
  if (!error.is_nil()) {
    failure.exit = exit_of(error["code"].text().value_or("internal"));
    failure.why = error["message"].text().value_or("it cannot be read");
    return std::nullopt;
  }
  failure = {.place = failure.place, .exit = Exit::not_found, .why = "it is not there"};
  std::optional<crypto::Bytes> chunk;
  answer["values"].for_each([&](const RpcValue& value) {
    const auto bytes = value["value"].bytes();
    if (chunk || !bytes || value["tombstone"].boolean().value_or(false)) return;
    failure = {.place = failure.place, .exit = Exit::internal, .why = "it is damaged: its bytes do not have this hash"};
    if (crypto::blake2b_256({*bytes}) == hash) chunk.emplace(bytes->begin(), bytes->end());
  });
  return chunk;
}

}  // namespace

std::optional<dht::Manifest> newest_manifest(const RpcValue& answer) {
  std::optional<RpcValue> newest;
  answer["values"].for_each([&](const RpcValue& value) { newest = newest.value_or(value); });
  if (!newest || !(*newest)["manifest"].is_map()) return std::nullopt;
  return dht::read_manifest((*newest)["value"].bytes().value_or(crypto::ByteSpan{}));
}

std::optional<ChunkFailure> read_chunks(Client& client, std::span<const crypto::Hash256> hashes, const ReadTerms& terms,
                                        const TakeChunk& take) {
  std::vector<std::size_t> wanted(hashes.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = i;
  std::optional<ChunkFailure> failed;
  ReadTerms asked = terms;
  for (int tries = 0; tries < tries_max && !wanted.empty(); ++tries) {
    std::vector<std::string> keys;
    keys.reserve(wanted.size());
    for (const std::size_t place : wanted) keys.push_back(dht::blob_key(hashes[place]));
    std::vector<std::size_t> missing;
    read_keys(client, keys, asked, [&](std::size_t index, const RpcValue& answer) {
      const std::size_t place = wanted[index];
      ChunkFailure failure{.place = place, .why = {}};
      const auto chunk = chunk_in(answer, hashes[place], failure);
      if (chunk) return take(place, *chunk);
      missing.push_back(place);
      failed = std::move(failure);
    });
    wanted = std::move(missing);
    asked.r = dht::limits::quorum_max;
  }
  return wanted.empty() ? std::nullopt : failed;
}

ChunkWalk::ChunkWalk(Client& client, std::string key, dht::Manifest manifest, ReadTerms terms)
    : client_(client), key_(std::move(key)), form_(manifest.form), terms_(terms) {
  levels_.resize(static_cast<std::size_t>(form_.depth()) + 1);
  levels_.back().hashes = std::move(manifest.hashes);
}

std::vector<crypto::Hash256> ChunkWalk::next(std::size_t count_max) {
  std::vector<crypto::Hash256> hashes;
  Level& files = levels_.front();
  while (hashes.size() < count_max && (files.at < files.hashes.size() || refill(0))) {
    hashes.push_back(files.hashes[files.at++]);
  }
  return hashes;
}

// The next list of the level above becomes this level's; false where there is none.
bool ChunkWalk::refill(std::size_t level) {
  if (level + 1 >= levels_.size()) return false;
  Level& above = levels_[level + 1];
  if (above.at == above.hashes.size() && !refill(level + 1)) return false;
  const crypto::Hash256 hash = above.hashes[above.at++];
  levels_[level].hashes = read_list(level + 1, hash, above.number++);
  levels_[level].at = 0;
  return true;
}

std::vector<crypto::Hash256> ChunkWalk::read_list(std::size_t level, const crypto::Hash256& hash,
                                                  std::uint64_t number) {
  on_list(hash);
  crypto::Bytes bytes;
  const auto failure = read_chunks(client_, {&hash, 1}, terms_, [&](std::size_t, crypto::ByteSpan chunk) {
    bytes.assign(chunk.begin(), chunk.end());
  });
  const std::string which = fmt::format("{}: its list of chunks {}", key_, dht::blob_key(hash));
  if (failure) die(failure->exit, fmt::format("{}: {}", which, failure->why));
  const std::size_t wanted_bytes = form_.bytes_at(static_cast<int>(level), number);
  auto list = dht::read_hash_list(bytes, wanted_bytes / sizeof(crypto::Hash256));
  if (!list) die(Exit::internal, fmt::format("{} is not as long as the manifest says", which));
  return *std::move(list);
}

void print_blob(Client& client, const GetCommand& command, const std::string& key, const dht::Manifest& manifest) {
  client.advise("; run the same command again");
  ChunkWalk walk(client, key, manifest, command.terms);
  std::uint64_t first = 0;
  for (auto hashes = walk.next(printed_at_once); !hashes.empty(); hashes = walk.next(printed_at_once)) {
    std::vector<crypto::Bytes> chunks(hashes.size());
    const auto failure = read_chunks(client, hashes, command.terms, [&](std::size_t place, crypto::ByteSpan bytes) {
      chunks[place].assign(bytes.begin(), bytes.end());
    });
    if (failure) die_of_chunk(key, manifest.form, first + failure->place, hashes[failure->place], *failure);
    for (const crypto::Bytes& chunk : chunks) {
      if (chunk.size() != manifest.form.bytes_at(0, first)) {
        die(Exit::internal, fmt::format("chunk {} of {} is not as long as the manifest says", first, key));
      }
      first += 1;
      if (std::fwrite(chunk.data(), 1, chunk.size(), stdout) != chunk.size()) {
        die(Exit::internal, "not all of the output could be written");
      }
    }
  }
}

void die_of_chunk(const std::string& key, const dht::BlobForm& form, std::uint64_t number, const crypto::Hash256& hash,
                  const ChunkFailure& failure) {
  const std::uint64_t begin = number * form.chunk_bytes;
  die(failure.exit, fmt::format("{}: chunk {} of {} ({}, bytes {} to {}): {}", key, number + 1, form.chunks(),
                                dht::blob_key(hash), begin, begin + form.bytes_at(0, number) - 1, failure.why));
}

}  // namespace kith::cli
