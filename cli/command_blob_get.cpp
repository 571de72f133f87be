// SPDX-License-Identifier: MIT
// get --output: a key into a file. Of a blob it fetches what FILE.part does not have yet.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "cli/blob.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/part_file.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;
using Json = nlohmann::ordered_json;

constexpr std::size_t chunks_at_once = 256;

// What of the blob is where.
struct Tally {
  std::uint64_t fetched = 0;  // chunks
  std::uint64_t kept = 0;     // in the file already
  std::uint64_t bytes = 0;    // of both
};

bool has_hash(const PartFile& part, std::uint64_t at, std::size_t bytes, const crypto::Hash256& hash) {
  crypto::Bytes there(bytes);
  part.read(at, there);
  return crypto::blake2b_256({there}) == hash;
}

class Assembly {
 public:
  Assembly(Client& client, const GetCommand& command, const dht::Manifest& manifest)
      : client_(client),
        command_(command),
        form_(manifest.form),
        part_(command.output, form_.bytes),
        progress_("fetching", form_.bytes, Progress::Unit::bytes),
        walk_(client, key(), manifest, command.terms) {}

  Tally run() {
    for (auto hashes = walk_.next(chunks_at_once); !hashes.empty(); hashes = walk_.next(chunks_at_once)) {
      take(hashes);
      first_ += hashes.size();
    }
    part_.finish();
    return tally_;
  }

  double seconds() const { return progress_.seconds(); }

 private:
  const std::string& key() const { return command_.keys.front(); }
  std::uint64_t begin_of(std::size_t place) const { return (first_ + place) * form_.chunk_bytes; }
  std::size_t bytes_of(std::size_t place) const { return form_.bytes_at(0, first_ + place); }

  void count(std::size_t place, std::uint64_t& of) {
    of += 1;
    tally_.bytes += bytes_of(place);
    progress_.show(tally_.bytes);
  }

  void take(const std::vector<crypto::Hash256>& hashes) {
    std::vector<crypto::Hash256> wanted;
    std::vector<std::size_t> places;
    for (std::size_t place = 0; place < hashes.size(); ++place) {
      if (part_.is_begun() && has_hash(part_, begin_of(place), bytes_of(place), hashes[place])) {
        count(place, tally_.kept);
        continue;
      }
      wanted.push_back(hashes[place]);
      places.push_back(place);
    }
    const auto failure = read_chunks(client_, wanted, command_.terms, [&](std::size_t i, crypto::ByteSpan bytes) {
      if (bytes.size() != bytes_of(places[i])) return;  // the manifest lies: found below
      part_.write(begin_of(places[i]), bytes);
      count(places[i], tally_.fetched);
    });
    if (failure) die_of_chunk(key(), form_, first_ + places[failure->place], wanted[failure->place], *failure);
    if (tally_.fetched + tally_.kept != first_ + hashes.size()) {
      die(Exit::internal, fmt::format("{}: its chunks are not as long as its manifest says", key()));
    }
  }

  Client& client_;
  const GetCommand& command_;
  dht::BlobForm form_;
  PartFile part_;
  Progress progress_;
  ChunkWalk walk_;
  Tally tally_;
  std::uint64_t first_ = 0;  // of the chunks at hand
};

void print_done(const Common& common, const GetCommand& command, const Tally& tally, double seconds) {
  const std::string& key = command.keys.front();
  if (common.json) {
    const Json line{{"key", key},
                    {"file", command.output},
                    {"bytes", tally.bytes},
                    {"chunks", tally.fetched + tally.kept},
                    {"fetched", tally.fetched},
                    {"kept", tally.kept},
                    {"took_ms", seconds * 1e3}};
    fmt::print("{}\n", line.dump());
  } else if (is_terminal(STDERR_FILENO)) {
    fmt::print(stderr, "{}: {} in {:.1f} s{}\n", command.output, human_bytes(tally.bytes), seconds,
               tally.kept == 0 ? "" : fmt::format("; {} of it were there", grouped(tally.kept) + " chunks"));
  }
}

void write_whole(const std::string& file, crypto::ByteSpan bytes) {
  PartFile part(file, bytes.size());
  part.write(0, bytes);
  part.finish();
}

}  // namespace

Exit fetch_to_file(const Common& common, const GetCommand& command) {
  Client client(find_socket(common.socket));
  client.advise("; run the same command again: it goes on where it was");
  const std::string& key = command.keys.front();
  const RpcValue answer = client.call("get", [&](RpcWriter& params) {
    params.map(1 + count_fields(command.terms)).text("key").name(key);
    write_fields(params, command.terms);
  });
  if (!answer["found"].boolean().value_or(false)) {
    if (!common.json) fmt::print(stderr, "kith: {} is not there\n", key);
    if (common.json) fmt::print("{}\n", to_json(answer).dump());
    return Exit::not_found;
  }
  if (answer["values"].size() > 1) {
    die(Exit::conflict,
        fmt::format("{} has {} concurrent values; `kith get --all --json {}` shows them, and a put with "
                    "their version makes them one",
                    key, answer["values"].size(), key));
  }
  if (const auto manifest = newest_manifest(answer)) {
    Assembly assembly(client, command, *manifest);
    const Tally tally = assembly.run();
    print_done(common, command, tally, assembly.seconds());
    return Exit::done;
  }
  std::uint64_t written = 0;
  answer["values"].for_each([&](const RpcValue& value) {
    const crypto::ByteSpan bytes = value["value"].bytes().value_or(crypto::ByteSpan{});
    write_whole(command.output, bytes);
    written = bytes.size();
  });
  print_done(common, command, {.bytes = written}, answer["took_ms"].real().value_or(0) / 1e3);
  return Exit::done;
}

}  // namespace kith::cli
