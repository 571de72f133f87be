// SPDX-License-Identifier: MIT
// Real daemons on loopback for the benches, and a client that keeps many requests in flight on one connection.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/client.h"

namespace kith::bench {

class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class BenchDaemon {
 public:
  BenchDaemon(const std::filesystem::path& home, const std::vector<std::string>& settings);
  ~BenchDaemon();
  BenchDaemon(const BenchDaemon&) = delete;
  BenchDaemon& operator=(const BenchDaemon&) = delete;

  std::string socket() const { return home_ / "kith.sock"; }
  pid_t pid() const { return pid_; }
  double resident_mib() const;
  double cpu_seconds() const;

 private:
  std::filesystem::path home_;
  pid_t pid_ = -1;
};

// A joined mesh.
std::vector<std::unique_ptr<BenchDaemon>> start_mesh(const std::filesystem::path& folder, int count);

// Sends `count` requests with at most `in_flight` unanswered; `write(i, params)` makes the i-th.
using WriteRequest = std::function<void(std::size_t, daemon::RpcWriter&)>;
std::size_t run_pipelined(cli::Client& client, std::string_view method, std::size_t count, std::size_t in_flight,
                          const WriteRequest& write);

}  // namespace kith::bench
