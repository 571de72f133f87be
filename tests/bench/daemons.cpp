// SPDX-License-Identifier: MIT
#include "tests/bench/daemons.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

namespace kith::bench {

namespace {

void pause_ms(int milliseconds) { ::poll(nullptr, 0, milliseconds); }

}  // namespace

Folder::Folder() {
  std::string pattern = std::filesystem::temp_directory_path() / "kith-bench-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

BenchDaemon::BenchDaemon(const std::filesystem::path& home, const std::vector<std::string>& settings) : home_(home) {
  std::filesystem::create_directories(home_);
  std::vector<std::string> words{"build/kithd", "--home", home_, "--listen", "127.0.0.1:0", "--no-discovery"};
  for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log = ::open((home_ / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ::dup2(log, STDERR_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }
  for (int waited = 0; waited < 10'000 && !std::filesystem::exists(socket()); waited += 10) pause_ms(10);
}

BenchDaemon::~BenchDaemon() {
  ::kill(pid_, SIGTERM);
  for (int waited = 0; waited < 8000; waited += 10) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
    pause_ms(10);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

double BenchDaemon::resident_mib() const {
  std::ifstream status(fmt::format("/proc/{}/status", pid_));
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    double kib = 0;
    status >> kib;
    return kib / 1024;
  }
  return 0;
}

double BenchDaemon::cpu_seconds() const {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid_));
  std::string word;
  double ticks = 0;
  for (int field = 1; stat >> word; ++field) {
    if (field == 14 || field == 15) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::vector<std::unique_ptr<BenchDaemon>> start_mesh(const std::filesystem::path& folder, int count) {
  std::vector<std::unique_ptr<BenchDaemon>> daemons;
  daemons.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    daemons.push_back(std::make_unique<BenchDaemon>(folder / fmt::format("node{}", i), std::vector<std::string>{}));
  }
  cli::Client first(daemons.front()->socket());
  const std::string invite(first.call("invite", cli::write_nothing)["invite"].text().value_or(""));
  for (std::size_t i = 1; i < daemons.size(); ++i) {
    cli::Client other(daemons[i]->socket());
    other.call("join", [&](daemon::RpcWriter& params) { params.map(1).text("invite").text(invite); });
  }
  for (const auto& daemon : daemons) {
    cli::Client client(daemon->socket());
    for (int waited = 0; waited < 10'000; waited += 10) {
      if (client.call("status", cli::write_nothing)["members"]["alive"].number() == daemons.size()) break;
      pause_ms(10);
    }
  }
  return daemons;
}

std::size_t run_pipelined(cli::Client& client, std::string_view method, std::size_t count, std::size_t in_flight,
                          const WriteRequest& write) {
  std::size_t sent = 0;
  std::size_t answered = 0;
  std::size_t failed = 0;
  while (answered < count) {
    std::size_t batch = std::min(count - sent, in_flight - (sent - answered));
    client.begin_batch();
    for (; batch > 0; --batch, ++sent) {
      client.send(method, [&](daemon::RpcWriter& params) { write(sent, params); });
    }
    client.end_batch();
    do {
      const daemon::RpcMessage& message = client.receive();
      answered += 1;
      if (!message.error.is_nil()) failed += 1;
    } while (client.has_more() && answered < sent);
  }
  if (failed > 0) fmt::print(stderr, "bench: {} of {} {} requests failed\n", failed, count, method);
  return count - failed;
}

}  // namespace kith::bench
