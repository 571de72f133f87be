// SPDX-License-Identifier: MIT
// put --blob: a file of any length as chunks, and, when all of them are safe, a manifest under its key
// (docs/data-model.md, "Blobs").
//
//   read and hash a window ──► ask which of its chunks are there ──► send the others ──┐
//        ▲                                                                             │
//        └──────────────────────────────── until the file ends ◄───────────────────────┘──► write the manifest
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <set>
#include <utility>

#include "cli/batch.h"
#include "cli/blob.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"
#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;
using Json = nlohmann::ordered_json;

constexpr std::size_t window_chunks = 64;  // 4 MiB, held until they are safe
constexpr std::uint64_t fresh_ms = blob_grace_ms / 3;
constexpr const char* advice = "; run the same command again: chunks that are finished are not sent again";

struct Chunk {
  crypto::Hash256 hash;
  crypto::Bytes bytes;
};

// Goes on while the device sleeps, and is not set.
std::uint64_t running_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

// A file, or stdin, read a chunk at a time.
class Source {
 public:
  explicit Source(const std::string& file) : name_(file.empty() ? "stdin" : file), is_file_(!file.empty()) {
    if (is_file_) descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) die_of("cannot be opened");
  }
  ~Source() {
    if (is_file_) ::close(descriptor_);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // Shorter at the end, and then empty.
  crypto::Bytes read(std::size_t bytes) {
    crypto::Bytes chunk(bytes);
    std::size_t done = 0;
    while (done < bytes) {
      const ssize_t count = ::read(descriptor_, chunk.data() + done, bytes - done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) die_of("cannot be read");
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    chunk.resize(done);
    return chunk;
  }

  // 0 where that cannot be told.
  std::uint64_t size() const {
    struct stat status {};
    const bool is_regular = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
    return is_regular ? static_cast<std::uint64_t>(status.st_size) : 0;
  }

  // False where it cannot be read from its beginning again.
  bool rewind() const { return ::lseek(descriptor_, 0, SEEK_SET) == 0; }
  const std::string& name() const { return name_; }

 private:
  [[noreturn]] void die_of(const char* what) const {
    die(Exit::usage, fmt::format("{} {}: {}", name_, what,
                                 std::strerror(errno)));  // NOLINT(concurrency-mt-unsafe): one thread
  }

  std::string name_;
  bool is_file_;
  int descriptor_ = STDIN_FILENO;
};

// Whether a put that waits like this would have been answered: then the chunk need not be sent.
bool is_safe(const RpcValue& standing, const WriteTerms& terms) {
  const auto number = [&](std::string_view name) { return standing[name].number().value_or(0); };
  const bool is_own = standing["own"].boolean().value_or(false);
  if (terms.wait == "local" && is_own) return true;
  std::uint64_t required = number("needed");
  if (terms.wait == "one") required = 1;
  if (terms.wait == "all") required = number("wanted");
  if (terms.w) required = std::min(*terms.w, number("wanted"));
  const std::uint64_t promised = is_own && !terms.strict ? number("away") : 0;  // they get it when they are back
  return number("copies") + promised >= required;
}

class BlobWriter {
 public:
  struct Counts {
    std::uint64_t chunks = 0;  // lists of hashes among them
    std::uint64_t sent = 0;
    std::uint64_t present = 0;
  };

  // Asking and sending have a connection each: neither waits for the other's answers.
  BlobWriter(const Common& common, const PutCommand& command)
      : command_(command),
        asking_(find_socket(common.socket)),
        sending_(find_socket(common.socket)),
        chunk_bytes_(choose_chunk_bytes()),
        writer_(sending_, command.terms, [this](const Item& item, const RpcValue& answer) { confirm(item, answer); }) {
    asking_.advise(advice);
    sending_.advise(advice);
  }

  // The manifest of the source, whose chunks are safe now.
  dht::Manifest write(Source& source) {
    total_bytes_ = source.size();
    Progress progress("sending", total_bytes_, Progress::Unit::bytes);
    progress_ = &progress;
    while (true) {
      began_ms_ = running_ms();
      done_bytes_ = 0;
      dht::Manifest manifest = write_once(source);
      if (!took_too_long()) return manifest;
      if (!source.rewind()) die_of_age(source);
    }
  }

  // The manifest is written: it must have been in time.
  void require_young(const Source& source) const {
    if (took_too_long()) die_of_age(source);
  }

  Client& client() { return asking_; }
  const Counts& counts() const { return counts_; }

 private:
  // The first chunks that were looked at may be taken for old ones by now.
  bool took_too_long() const { return running_ms() - began_ms_ >= fresh_ms; }

  [[noreturn]] static void die_of_age(const Source& source) {
    die(Exit::quorum,
        fmt::format("{} took longer than a day, and its first chunks may be old by now{}", source.name(), advice));
  }

  // As large as values of this mesh are by default, so that a file has the same chunks everywhere.
  std::uint32_t choose_chunk_bytes() {
    const RpcValue status = asking_.call("status", write_nothing);
    const std::uint64_t most = status["replication"]["value_bytes_max"].number().value_or(0);
    const auto bytes = std::bit_floor(std::min<std::uint64_t>(most, dht::limits::value_bytes_default));
    if (!dht::is_chunk_size(bytes)) {
      die(Exit::refused, fmt::format("values have at most {} bytes here (replication.value_bytes_max); chunks want {}",
                                     most, dht::limits::chunk_bytes_min));
    }
    return static_cast<std::uint32_t>(bytes);
  }

  dht::Manifest write_once(Source& source) {
    counts_.chunks = counts_.present = read_bytes_ = 0;
    dht::ManifestBuilder builder(chunk_bytes_);
    for (auto window = read_window(source, builder); !window.empty(); window = read_window(source, builder)) {
      send_missing(std::move(window));
    }
    auto [manifest, lists] = builder.finish();
    send_missing(chunks_of(std::move(lists)));
    writer_.finish();
    return std::move(manifest);
  }

  static std::vector<Chunk> chunks_of(std::vector<dht::ManifestBuilder::List> lists) {
    std::vector<Chunk> chunks;
    chunks.reserve(lists.size());
    for (auto& list : lists) chunks.push_back({.hash = list.hash, .bytes = std::move(list.bytes)});
    return chunks;
  }

  std::vector<Chunk> read_window(Source& source, dht::ManifestBuilder& builder) {
    std::vector<Chunk> window;
    while (window.size() < window_chunks) {
      crypto::Bytes bytes = source.read(chunk_bytes_);
      if (bytes.empty()) break;
      read_bytes_ += bytes.size();
      if (read_bytes_ > dht::limits::blob_bytes_max) {
        die(Exit::refused, fmt::format("{} has more than the limit blob_bytes_max, {}", source.name(),
                                       human_bytes(dht::limits::blob_bytes_max)));
      }
      const crypto::Hash256 hash = crypto::blake2b_256({bytes});
      auto lists = chunks_of(builder.add(hash, bytes.size()));
      window.push_back({.hash = hash, .bytes = std::move(bytes)});
      std::ranges::move(lists, std::back_inserter(window));
    }
    return window;
  }

  void send_missing(std::vector<Chunk> chunks) {
    if (chunks.empty()) return;
    const std::vector<bool> are_safe = ask(chunks);
    counts_.chunks += chunks.size();
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      if (are_safe[i] || !unconfirmed_.insert(chunks[i].hash).second) {
        counts_.present += 1;
        show(chunks[i].bytes.size());
        continue;
      }
      writer_.add({.key = dht::blob_key(chunks[i].hash), .value = std::move(chunks[i].bytes), .ttl_ms = 0});
    }
  }

  std::vector<bool> ask(const std::vector<Chunk>& chunks) {
    const std::uint64_t now_ms = wall_ms();
    const RpcValue answer = asking_.call("chunks", [&](RpcWriter& params) {
      params.map(3).text("hashes").array(chunks.size());
      for (const Chunk& chunk : chunks) params.bytes(chunk.hash);
      params.text("since_ms").number(now_ms - std::min(now_ms, fresh_ms));
      params.text("timeout_ms").number(command_.terms.timeout_ms);
    });
    std::vector<bool> are_safe;
    answer["chunks"].for_each([&](const RpcValue& standing) { are_safe.push_back(is_safe(standing, command_.terms)); });
    are_safe.resize(chunks.size());
    return are_safe;
  }

  void confirm(const Item& item, const RpcValue& answer) {
    const RpcValue error = answer["error"];
    if (!error.is_nil()) {
      die(exit_of(error["code"].text().value_or("internal")),
          fmt::format("{}: {}{}", item.key, error["message"].text().value_or("it could not be written"), advice));
    }
    const auto hash = dht::blob_hash_of(item.key).value_or(crypto::Bytes{});
    crypto::Hash256 confirmed{};
    std::copy(hash.begin(), hash.end(), confirmed.begin());
    unconfirmed_.erase(confirmed);
    counts_.sent += 1;
    show(item.value.size());
  }

  // Lists are no part of the file, which is all that is shown.
  void show(std::size_t bytes) {
    done_bytes_ += bytes;
    progress_->show(total_bytes_ == 0 ? done_bytes_ : std::min(done_bytes_, total_bytes_));
  }

  const PutCommand& command_;
  Client asking_;
  Client sending_;
  std::uint32_t chunk_bytes_;
  std::set<crypto::Hash256> unconfirmed_;
  Counts counts_;
  Progress* progress_ = nullptr;
  std::uint64_t began_ms_ = 0;
  std::uint64_t read_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;  // 0: unknown
  BatchWriter writer_;
};

}  // namespace

Exit put_blob(const Common& common, const PutCommand& command) {
  const bool has_text = command.value && *command.value != "-";
  if (has_text) die(Exit::usage, "--blob takes a file with --file FILE, or stdin with -, and no value as a word");
  Source source(command.file);
  const auto began = std::chrono::steady_clock::now();
  BlobWriter writer(common, command);
  const dht::Manifest manifest = writer.write(source);
  const RpcValue receipt = write_key(writer.client(), command, {.bytes = dht::encode(manifest), .is_manifest = true});
  writer.require_young(source);
  const double took_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  const BlobWriter::Counts& counts = writer.counts();
  if (common.json) {
    Json line = to_json(receipt);
    line["took_ms"] = took_ms;
    line["bytes"] = manifest.form.bytes;
    line["chunks"] = counts.chunks;
    line["sent"] = counts.sent;
    line["present"] = counts.present;
    fmt::print("{}\n", line.dump());
    return Exit::done;
  }
  print_receipt(common, receipt);
  if (is_terminal(STDERR_FILENO)) {
    fmt::print(stderr, "{} in {} chunks, {} sent, {} were there, {:.1f} s\n", human_bytes(manifest.form.bytes),
               grouped(counts.chunks), grouped(counts.sent), grouped(counts.present), took_ms / 1e3);
  }
  return Exit::done;
}

}  // namespace kith::cli
