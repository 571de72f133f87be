// SPDX-License-Identifier: MIT
// testnet: a mesh of daemons on loopback in a temporary folder, with a shell inside. It ends every process it
// started, by pid, and leaves nothing behind.
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/command.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;

constexpr int start_patience_ms = 15'000;
constexpr int stop_patience_ms = 6'000;

volatile sig_atomic_t was_interrupted = 0;
volatile sig_atomic_t was_ended = 0;  // by SIGTERM or SIGHUP

// Where this program and the daemon built with it are.
std::filesystem::path own_folder() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
}

// The daemon built beside this program, else the one that PATH finds.
std::string daemon_program() {
  std::error_code ignored;
  const std::filesystem::path beside = own_folder() / "kithd";
  return std::filesystem::exists(beside, ignored) ? beside.string() : "kithd";
}

pid_t spawn(const std::vector<std::string>& words, const std::string& log_file) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) die(Exit::internal, fmt::format("{} cannot be started: no more processes", words.front()));
  if (child != 0) return child;
  if (!log_file.empty()) {
    // They are another testnet's, where this one runs inside.
    for (const char* name : {"KITH_SOCKET", "KITH_HOME", "KITH_CONFIG"}) {
      ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    }
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // however this program ends
    if (::getppid() != parent) ::_exit(0);
    const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::setpgid(0, 0);  // a Ctrl-C in the shell is not meant for the daemons
  }
  ::execvp(arguments.front(), arguments.data());
  fmt::print(stderr, "kith: {} cannot be started\n", words.front());
  ::_exit(127);
}

void pause_ms(int milliseconds) { ::poll(nullptr, 0, milliseconds); }

// One daemon of the testnet.
struct Daemon {
  std::filesystem::path home;
  pid_t pid = -1;
  std::string socket() const { return home / "kith.sock"; }
};

class Testnet {
 public:
  Testnet() {
    std::string pattern = std::filesystem::temp_directory_path() / "kith-testnet-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) die(Exit::internal, "no temporary folder can be made");
    folder_ = pattern;
  }
  ~Testnet() {
    std::erase_if(daemons_, [](const Daemon& daemon) { return daemon.pid < 0; });
    for (const Daemon& daemon : daemons_) ::kill(daemon.pid, SIGTERM);
    for (const Daemon& daemon : daemons_) reap(daemon.pid);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Testnet(const Testnet&) = delete;
  Testnet& operator=(const Testnet&) = delete;

  // False when a daemon did not come up; its log has been shown.
  bool start(std::uint64_t nodes) {
    for (std::uint64_t i = 1; i <= nodes; ++i) {
      if (was_interrupted != 0 || !start_one(i)) return false;
    }
    Client first(daemons_.front().socket());
    const RpcValue answer = first.call("invite", write_nothing);
    const std::string invite(answer["invite"].text().value_or(""));
    for (std::size_t i = 1; i < daemons_.size(); ++i) join(daemons_[i], invite);
    return wait_for_members() && was_interrupted == 0;
  }

  const std::vector<Daemon>& daemons() const { return daemons_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  bool start_one(std::uint64_t number) {
    Daemon daemon{.home = folder_ / fmt::format("node{}", number)};
    std::filesystem::create_directory(daemon.home);
    const std::string log = folder_ / fmt::format("node{}.log", number);
    daemon.pid = spawn({daemon_program(), "--home", daemon.home, "--listen", "127.0.0.1:0", "--no-discovery", "--set",
                        fmt::format("node.name=node{}", number)},
                       log);
    daemons_.push_back(daemon);
    for (int waited = 0; waited < start_patience_ms; waited += 20) {
      if (std::filesystem::exists(daemon.socket())) return true;
      if (::waitpid(daemon.pid, nullptr, WNOHANG) == daemon.pid) {
        daemons_.back().pid = -1;
        break;
      }
      pause_ms(20);
    }
    std::ifstream text(log);
    fmt::print(stderr, "{}", std::string(std::istreambuf_iterator<char>(text), {}));
    return false;
  }

  static void join(const Daemon& daemon, const std::string& invite) {
    Client client(daemon.socket());
    client.call("join", [&](RpcWriter& params) { params.map(1).text("invite").text(invite); });
  }

  bool wait_for_members() {
    for (const Daemon& daemon : daemons_) {
      Client client(daemon.socket());
      int waited = 0;
      while (client.call("status", write_nothing)["members"]["alive"].number() != daemons_.size()) {
        if (was_interrupted != 0 || waited > start_patience_ms) return false;
        pause_ms(20);
        waited += 20;
      }
    }
    return true;
  }

  static void reap(pid_t pid) {
    for (int waited = 0; waited < stop_patience_ms; waited += 20) {
      if (::waitpid(pid, nullptr, WNOHANG) != 0) return;
      pause_ms(20);
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }

  std::filesystem::path folder_;
  std::vector<Daemon> daemons_;
};

int run_inside(const Testnet& testnet, const TestnetCommand& command) {
  ::setenv("KITH_SOCKET", testnet.daemons().front().socket().c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  const char* path = std::getenv("PATH");                                  // NOLINT(concurrency-mt-unsafe): one thread
  const std::string with_kith = own_folder().string() + (path == nullptr ? "" : ":" + std::string(path));
  ::setenv("PATH", with_kith.c_str(), 1);                 // NOLINT(concurrency-mt-unsafe)
  ::setenv("KITH_TESTNET", testnet.folder().c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  std::vector<std::string> words = command.run;
  if (words.empty()) {
    const char* shell = std::getenv("SHELL");  // NOLINT(concurrency-mt-unsafe): one thread
    words = {shell == nullptr ? "/bin/sh" : shell};
  }
  const pid_t child = spawn(words, "");
  int result = 0;
  // A signal to end is the command's too; a Ctrl-C reaches it by itself. A shell ends of the one, others of the other.
  for (int waited = 0; ::waitpid(child, &result, WNOHANG) == 0; pause_ms(20)) {
    if (was_ended == 0) continue;
    if (waited == 0) ::kill(child, SIGHUP);
    if (waited == 0) ::kill(child, SIGTERM);
    if (waited >= stop_patience_ms) ::kill(child, SIGKILL);
    waited += 20;
  }
  return WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result);
}

// What was ignored stays so: nohup.
void on_signal(int signal, const struct sigaction& action) {
  struct sigaction before {};
  ::sigaction(signal, nullptr, &before);
  if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
}

}  // namespace

Exit testnet(const TestnetCommand& command) {
  struct sigaction remember {};
  remember.sa_handler = [](int) { was_interrupted = 1; };
  on_signal(SIGINT, remember);
  remember.sa_handler = [](int) {
    was_interrupted = 1;
    was_ended = 1;
  };
  on_signal(SIGTERM, remember);
  on_signal(SIGHUP, remember);
  static Testnet testnet;  // die() ends the daemons too
  if (!testnet.start(command.nodes)) {
    fmt::print(stderr, "kith: the testnet did not come up\n");
    return Exit::internal;
  }
  if (command.run.empty()) {
    fmt::print("{} daemons on loopback, joined, in {}\n", command.nodes, testnet.folder().string());
    fmt::print(
        "`kith` in this shell talks to node1; to another with --home $KITH_TESTNET/node2. `exit` ends them all.\n");
    std::fflush(stdout);
  }
  return static_cast<Exit>(run_inside(testnet, command));
}

}  // namespace kith::cli
