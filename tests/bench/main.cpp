// SPDX-License-Identifier: MIT
// make bench: kith beside the raw limits of the same machine, both sides in one run, medians of three.
//
//   bench [JSON]              writes the table as JSON too (default build/bench.json)
//   bench --reconciliation    only what comparing replicas costs
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <utility>

#include "crypto/keys.h"
#include "tests/bench/bare_sqlite.h"
#include "tests/bench/daemons.h"
#include "tests/bench/handshakes.h"
#include "tests/bench/measure.h"
#include "tests/bench/reconciliation.h"

namespace kith::bench {

namespace {

using daemon::RpcWriter;

constexpr int rounds = 3;
constexpr std::size_t in_flight = 64;
constexpr std::size_t page_cache_bytes = 4U << 20;
constexpr std::size_t puts_per_round = 20'000;
constexpr std::size_t small_set = 10'000;
constexpr std::size_t large_set = 200'000;
constexpr std::size_t gets_per_round = 60'000;
// Holds the small set with room, and less than a tenth of the large one: such a record takes about 900 bytes of it.
constexpr const char* cache_setting = "storage.cache_bytes=16777216";

std::string key_name(std::size_t number) { return fmt::format("bench/{:08}", number); }

void write_put(std::size_t number, RpcWriter& params) {
  static const crypto::Bytes value(256, 0x5A);
  params.map(2).text("key").text(key_name(number)).text("value").bytes(value);
}

void write_get(std::size_t number, RpcWriter& params) { params.map(1).text("key").text(key_name(number)); }

// A walk over all numbers below n that looks random and visits each once.
std::size_t scattered(std::size_t i, std::size_t n) { return (i * 7'368'787 + 12'345) % n; }

// One daemon and bare SQLite, filled alike.
struct OneNode {
  explicit OneNode(const Folder& folder)
      : daemon(folder.path() / "single", {cache_setting}),
        client(daemon.socket()),
        bare(folder.path() / "bare.db", page_cache_bytes) {}

  double put_round() {
    const std::size_t first = std::exchange(puts, puts + puts_per_round);
    return rate([&] {
      return run_pipelined(client, "put", puts_per_round, in_flight,
                           [&](std::size_t i, RpcWriter& params) { write_put(first + i, params); });
    });
  }

  double insert_round() {
    const auto rows = make_rows(puts_per_round, std::exchange(inserts, inserts + puts_per_round));
    return rate([&] {
      for (std::size_t i = 0; i < rows.size(); i += 64) {
        bare.insert(&rows[i], std::min<std::size_t>(64, rows.size() - i));
      }
      return rows.size();
    });
  }

  void fill() {
    run_pipelined(client, "put", large_set - puts, 512,
                  [&](std::size_t i, RpcWriter& params) { write_put(puts + i, params); });
    for (; inserts < large_set; inserts += 1000) {
      const auto rows = make_rows(1000, inserts);
      bare.insert(rows.data(), rows.size());
    }
  }

  double read_round(std::size_t set) {
    return rate([&] {
      return run_pipelined(client, "get", gets_per_round, in_flight,
                           [&](std::size_t i, RpcWriter& params) { write_get(scattered(i, set), params); });
    });
  }

  double select_round(std::size_t set) {
    std::vector<crypto::Hash256> keys;
    keys.reserve(gets_per_round);
    for (std::size_t i = 0; i < gets_per_round; ++i) keys.push_back(make_rows(1, scattered(i, set))[0].key);
    return rate([&] {
      std::size_t bytes = 0;
      for (const auto& key : keys) bytes += bare.read(key);
      return bytes > 0 ? keys.size() : 0;
    });
  }

  Pair pair_of_reads(std::size_t set) {
    return medians_of(
        rounds, [&] { return read_round(set); }, [&] { return select_round(set); });
  }

  BenchDaemon daemon;
  cli::Client client;
  BareSqlite bare;
  std::size_t puts = 0;
  std::size_t inserts = 0;
};

std::vector<Row> bench_one_node(const Folder& folder) {
  OneNode node(folder);
  const Pair puts = medians_of(
      rounds, [&] { return node.put_round(); }, [&] { return node.insert_round(); });
  node.fill();
  node.pair_of_reads(small_set);  // warms both caches
  const Pair cached = node.pair_of_reads(small_set);
  const Pair uncached = node.pair_of_reads(large_set);
  return {{"durable puts, one node, 64 in flight | bare commits of 64", puts.ours, puts.other, "1/s", 0.35},
          {"gets of a set that fits the cache | bare point reads", cached.ours, cached.other, "1/s", 0.5},
          {"gets of a set ten times the cache | bare point reads", uncached.ours, uncached.other, "1/s", 0.3}};
}

std::vector<double> latencies_ms(cli::Client& client, std::string_view method, void (*write)(std::size_t, RpcWriter&)) {
  std::vector<double> all;
  for (std::size_t i = 0; i < 500; ++i) {
    const double began = seconds_now();
    client.call(method, [&](RpcWriter& params) { write(i, params); });
    all.push_back((seconds_now() - began) * 1e3);
  }
  return all;
}

std::vector<double> fsync_ms(const Folder& folder) {
  const int file = ::open((folder.path() / "fsync").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const crypto::Bytes page(4096, 1);
  std::vector<double> all;
  for (int i = 0; i < 500; ++i) {
    const double began = seconds_now();
    if (::write(file, page.data(), page.size()) < 0 || ::fdatasync(file) != 0) break;
    all.push_back((seconds_now() - began) * 1e3);
  }
  ::close(file);
  return all;
}

// The smallest thing the socket does: what every latency contains.
std::vector<double> round_trip_ms(cli::Client& client) {
  std::vector<double> all;
  for (int i = 0; i < 500; ++i) {
    const double began = seconds_now();
    client.call("status", cli::write_nothing);
    all.push_back((seconds_now() - began) * 1e3);
  }
  return all;
}

std::vector<Row> bench_three_nodes(const Folder& folder) {
  const auto daemons = start_mesh(folder.path() / "three", 3);
  cli::Client client(daemons.front()->socket());
  const std::vector<double> puts = latencies_ms(client, "put", write_put);
  const std::vector<double> gets = latencies_ms(client, "get", write_get);
  const std::vector<double> syncs = fsync_ms(folder);
  const std::vector<double> trips = round_trip_ms(client);
  std::vector<double> rates;
  for (std::size_t round = 0; round < rounds; ++round) {
    rates.push_back(rate([&] {
      return run_pipelined(client, "put", 5000, in_flight,
                           [&](std::size_t i, RpcWriter& params) { write_put(100'000 + round * 5000 + i, params); });
    }));
  }
  return {
      {"puts, three nodes on this machine, W = 2, 64 in flight", median(rates), 0, "1/s", 0},
      {"p99 of a put, three idle nodes | p99 of one fsync", quantile(puts, 0.99), quantile(syncs, 0.99), "ms", 0},
      {"p99 of a get, three idle nodes | p99 of a round trip", quantile(gets, 0.99), quantile(trips, 0.99), "ms", 0},
      {"p50 of a put, three idle nodes | p50 of one fsync", median(puts), median(syncs), "ms", 0},
      {"p50 of a get, three idle nodes | p50 of a round trip", median(gets), median(trips), "ms", 0}};
}

std::vector<Row> bench_idle(const Folder& folder) {
  BenchDaemon daemon(folder.path() / "idle", {});
  ::poll(nullptr, 0, 2000);
  const double before = daemon.cpu_seconds();
  ::poll(nullptr, 0, 20'000);
  const double percent = (daemon.cpu_seconds() - before) / 20 * 100;
  return {{"an idle daemon: resident (at most 12)", daemon.resident_mib(), 0, "MiB", 0},
          {"an idle daemon: of one core (at most 0.3)", percent, 0, "%", 0}};
}

}  // namespace

}  // namespace kith::bench

int main(int count, char** words) {
  using namespace kith::bench;
  if (!kith::crypto::init()) return 1;
  if (count > 1 && words[1] == std::string_view("--reconciliation")) {
    print_table(bench_reconciliation());
    return 0;
  }
  std::vector<Row> rows;
  const auto add = [&](const std::vector<Row>& more) { rows.insert(rows.end(), more.begin(), more.end()); };
  {
    const Folder folder;
    add(bench_one_node(folder));
    add(bench_three_nodes(folder));
    add(bench_handshakes());
    add(bench_idle(folder));
    add(bench_reconciliation());
  }
  print_table(rows);
  write_json(rows, count > 1 ? words[1] : "build/bench.json");
  return 0;
}
