// SPDX-License-Identifier: MIT
// blob prune: chunks that no manifest of the mesh refers to are deleted, when they are old enough for that to be
// certain (docs/data-model.md, "Blobs").
//
//   everybody is here ──► mark: all manifests, their lists ──► list blob/ ──► sweep: read what nobody refers to,
//                                                                            delete just the versions that were read
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "cli/batch.h"
#include "cli/blob.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/pages.h"
#include "cli/terminal.h"
#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;
using Json = nlohmann::ordered_json;

constexpr std::chrono::seconds patience{60};  // for blobs that not all replicas show yet
constexpr std::size_t swept_at_once = 250;
constexpr std::int64_t clocks_apart_ms_max = 3'600'000;

// What nobody answers for may refer to any chunk.
void require_everybody(Client& client) {
  std::string away;
  client.call("members", write_nothing)["members"].for_each([&](const RpcValue& member) {
    const auto state = member["state"].text().value_or("");
    if (state == "alive" || state == "left") return;
    away += fmt::format("{}{}", away.empty() ? "" : ", ", member["name"].text().value_or("?"));
  });
  if (away.empty()) return;
  die(Exit::quorum, fmt::format("{} cannot be asked, and may hold a blob that nobody else knows of; wait for them, or "
                                "say --without-away where that is not so",
                                away));
}

void require_clocks(Client& client) {
  const RpcValue status = client.call("status", write_nothing);
  const std::int64_t ahead = status["other_clocks"]["ahead_ms"].integer().value_or(0);
  if (ahead < clocks_apart_ms_max && ahead > -clocks_apart_ms_max) return;
  die(Exit::refused,
      "this device's clock and the others' are more than an hour apart, and the age of a chunk cannot be "
      "told; see `kith doctor`");
}

// All hashes that some manifest refers to. 32 bytes for each are held.
class Marks {
 public:
  Marks(Client& client, ReadTerms terms) : client_(client), terms_(terms) {}

  // What was listed as a blob and read as none may be on its way to its replicas, or from them, and a replica may still
  // be catching up: then all is read again.
  void collect() {
    if (!collect_once()) collect_when_all_show();
    std::ranges::sort(hashes_);
    hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
  }

  bool contain(const crypto::Hash256& hash) const { return std::ranges::binary_search(hashes_, hash); }
  std::uint64_t manifests() const { return manifests_; }

 private:
  struct Held {
    std::string key;
    dht::Manifest manifest;
  };

  void collect_when_all_show() {
    Progress waiting("waiting for blobs that not all replicas show yet", patience.count());
    do {
      if (waiting.seconds() >= static_cast<double>(patience.count()))
        die(Exit::quorum, fmt::format("{}; nothing was deleted: run it again later", complaint_));
      waiting.show(static_cast<std::uint64_t>(waiting.seconds()));
      std::this_thread::sleep_for(std::chrono::seconds(1));
    } while (!collect_once());
  }

  bool collect_once() {
    hashes_.clear();
    manifests_ = 0;
    complaint_.clear();
    Pages pages(client_, "");
    pages.list_only_manifests();
    while (pages.has_more()) {
      const std::vector<std::string> keys = pages.next();
      read(keys);
    }
    if (pages.is_partial()) die(Exit::quorum, "some members did not answer, and may hold blobs; nothing was deleted");
    return complaint_.empty();
  }

  void read(const std::vector<std::string>& keys) {
    std::vector<Held> deep;
    read_keys(client_, keys, terms_, [&](std::size_t index, const RpcValue& answer) {
      const std::uint64_t before = manifests_;
      answer["values"].for_each([&](const RpcValue& value) { take(keys[index], value, deep); });
      if (manifests_ > before) return;
      complaint_ = fmt::format("{} is listed as a blob, and cannot be read from all its replicas: {}", keys[index],
                               answer["error"]["message"].text().value_or("they do not show it yet"));
    });
    for (Held& held : deep) walk(held);
  }

  void take(const std::string& key, const RpcValue& value, std::vector<Held>& deep) {
    if (!value["manifest"].is_map()) return;
    auto manifest = dht::read_manifest(value["value"].bytes().value_or(crypto::ByteSpan{}));
    if (!manifest) die(Exit::internal, fmt::format("{} is a blob of a form that this kith cannot read", key));
    manifests_ += 1;
    hashes_.insert(hashes_.end(), manifest->hashes.begin(), manifest->hashes.end());
    if (manifest->form.depth() > 0) deep.push_back({.key = key, .manifest = std::move(*manifest)});
  }

  void walk(Held& held) {
    ChunkWalk walk(client_, held.key, std::move(held.manifest), {});
    walk.on_list = [this](const crypto::Hash256& hash) { hashes_.push_back(hash); };
    for (auto chunks = walk.next(1000); !chunks.empty(); chunks = walk.next(1000)) {
      hashes_.insert(hashes_.end(), chunks.begin(), chunks.end());
    }
  }

  Client& client_;
  ReadTerms terms_;
  std::vector<crypto::Hash256> hashes_;
  std::uint64_t manifests_ = 0;
  std::string complaint_;  // about one that could not be read
};

struct Tally {
  std::uint64_t chunks = 0;
  std::uint64_t referenced = 0;
  std::uint64_t young = 0;
  std::uint64_t unread = 0;  // not all of its replicas answered
  std::uint64_t freed = 0;
  std::uint64_t freed_bytes = 0;
};

class Sweep {
 public:
  Sweep(Client& client, ReadTerms terms, const PruneCommand& command, std::uint64_t began_ms)
      : client_(client), terms_(terms), command_(command), began_ms_(began_ms) {}

  Tally run(const Marks& marks) {
    Progress progress("looking at chunks", 0);
    Pages pages(client_, "blob/");
    std::vector<std::string> candidates;
    while (pages.has_more()) {
      for (std::string& key : pages.next()) {
        tally_.chunks += 1;
        marks.contain(hash_of(key)) ? void(tally_.referenced += 1) : candidates.push_back(std::move(key));
      }
      progress.show(tally_.chunks);
      if (candidates.size() >= swept_at_once) free(std::exchange(candidates, {}));
    }
    free(candidates);
    return tally_;
  }

 private:
  struct Old {
    std::string key;
    crypto::Bytes version;
  };

  static crypto::Hash256 hash_of(const std::string& key) {
    crypto::Hash256 hash{};
    const auto named = dht::blob_hash_of(key);
    if (named) std::copy(named->begin(), named->end(), hash.begin());
    return hash;
  }

  void free(const std::vector<std::string>& keys) {
    std::vector<Old> old;
    read_keys(client_, keys, terms_, [&](std::size_t index, const RpcValue& answer) {
      answer["error"].is_nil() ? look_at(keys[index], answer, old) : void(tally_.unread += 1);
    });
    if (!command_.is_dry) delete_all(old);
  }

  // Whoever puts a file takes a chunk for one that stays when it is young, or has just written it again.
  void look_at(const std::string& key, const RpcValue& answer, std::vector<Old>& old) {
    std::uint64_t written_ms = 0;
    std::uint64_t bytes = 0;
    answer["values"].for_each([&](const RpcValue& value) {
      if (value["tombstone"].boolean().value_or(false)) return;
      written_ms = std::max(written_ms, value["seq"].number().value_or(0) >> 16U);
      bytes = value["value"].bytes().value_or(crypto::ByteSpan{}).size();
    });
    if (written_ms == 0) return;  // deleted meanwhile
    if (written_ms + command_.older_ms > began_ms_) {
      tally_.young += 1;
      return;
    }
    const crypto::ByteSpan version = answer["version"].bytes().value_or(crypto::ByteSpan{});
    old.push_back({.key = key, .version = {version.begin(), version.end()}});
    tally_.freed += 1;
    tally_.freed_bytes += bytes;
  }

  void delete_all(const std::vector<Old>& old) {
    client_.begin_batch();
    for (const Old& chunk : old) {
      client_.send("del", [&](RpcWriter& params) {
        params.map(2).text("key").name(chunk.key).text("version").bytes(chunk.version);
      });
    }
    client_.end_batch();
    for (std::size_t answered = 0; answered < old.size();) {
      const daemon::RpcMessage& message = client_.receive();
      if (message.kind != daemon::RpcKind::response) continue;
      if (!message.error.is_nil()) die_of(message.error);
      answered += 1;
    }
  }

  Client& client_;
  ReadTerms terms_;
  const PruneCommand& command_;
  std::uint64_t began_ms_;
  Tally tally_;
};

void print_tally(const Common& common, const PruneCommand& command, const Marks& marks, const Tally& tally) {
  if (common.json) {
    const Json line{{"blobs", marks.manifests()},       {"chunks", tally.chunks},
                    {"referenced", tally.referenced},   {"young", tally.young},
                    {"unread", tally.unread},           {"freed", tally.freed},
                    {"freed_bytes", tally.freed_bytes}, {"dry_run", command.is_dry}};
    fmt::print("{}\n", line.dump());
    return;
  }
  fmt::print("{} chunks, {} of {} blobs, {} that nobody refers to and that are too young; {} {}: {}\n",
             grouped(tally.chunks), grouped(tally.referenced), grouped(marks.manifests()), grouped(tally.young),
             grouped(tally.freed), command.is_dry ? "would be freed" : "freed", human_bytes(tally.freed_bytes));
}

}  // namespace

Exit prune_blobs(const Common& common, const PruneCommand& command) {
  if (command.older_ms < blob_grace_ms && !command.is_sure) {
    die(Exit::usage,
        fmt::format("a put that is under way may count on chunks that are younger than {}; say --yes where "
                    "nobody puts a blob now, on any device",
                    human_time(blob_grace_ms)));
  }
  Client client(find_socket(common.socket));
  if (!command.without_away) require_everybody(client);
  require_clocks(client);
  const std::uint64_t began_ms = wall_ms();
  const ReadTerms of_all{
      .r = dht::limits::quorum_max, .all = true, .strict = !command.without_away, .timeout_ms = 10000};
  Marks marks(client, of_all);
  marks.collect();
  Sweep sweep(client, of_all, command, began_ms);
  const Tally tally = sweep.run(marks);
  print_tally(common, command, marks, tally);
  if (tally.unread == 0) return Exit::done;
  die(Exit::quorum,
      fmt::format("{} chunks stay, of which not all replicas answered; run it again later", grouped(tally.unread)));
}

}  // namespace kith::cli
