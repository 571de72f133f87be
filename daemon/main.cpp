// SPDX-License-Identifier: MIT
// kithd: reads what it is told, becomes hard to look into, opens its home, and hands over to the loop.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/driver.h"
#include "daemon/entropy.h"
#include "daemon/flags.h"
#include "daemon/log.h"
#include "daemon/paths.h"
#include "dht/model/limits.h"
#include "dht/model/text.h"

namespace {

using namespace kith;
using namespace kith::daemon;

// sysexits.h
constexpr int exit_unavailable = 69;
constexpr int exit_internal = 70;
constexpr int exit_io_error = 74;
constexpr int exit_config = 78;

int exit_code_of(dht::ErrorCode code) {
  switch (code) {
    case dht::ErrorCode::conflict:
      return exit_unavailable;
    case dht::ErrorCode::storage:
      return exit_io_error;
    case dht::ErrorCode::internal:
      return exit_internal;
    default:
      return exit_config;
  }
}

int complain(const dht::Error& error) {
  std::fprintf(stderr, "kithd: %s\n", error.message.c_str());
  return exit_code_of(error.code);
}

struct Settings {
  Paths paths;
  Config config;
  std::string printed;
};

// Flags come before the environment, that before the file.
dht::Status fill(ConfigBuilder& builder, const Flags& flags, const Paths& paths, const Environment& environment) {
  if (paths.config_was_named || may_exist(paths.config_file)) {
    const auto given = read_toml_file(paths.config_file);
    if (!given) return given.error();
    if (dht::Status status = builder.add(*given); !status) return status;
  }
  if (const auto level = environment.find("KITH_LOG"); level != environment.end()) {
    if (dht::Status status = builder.add({"log.level", level->second, "KITH_LOG"}); !status) return status;
  }
  if (dht::Status status = builder.add(flags.given); !status) return status;
  for (const std::string& assignment : flags.assignments) {
    if (dht::Status status = builder.add_text(assignment, "--set"); !status) return status;
  }
  return dht::Done{};
}

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "kith";
  const std::string shown = std::string(name).substr(0, dht::limits::name_bytes_max);
  return dht::is_printable(shown) ? shown : "kith";
}

dht::Result<Settings> read_settings(const Flags& flags, const Environment& environment) {
  auto paths = find_paths({flags.home, flags.config, geteuid() == 0}, environment);
  if (!paths) return paths.error();
  ConfigBuilder builder;
  if (dht::Status status = fill(builder, flags, *paths, environment); !status) return status.error();
  auto config = builder.finish();
  if (!config) return config.error();
  if (!config->node.data.empty()) paths->data_folder = config->node.data;
  if (!config->node.socket.empty()) paths->socket = config->node.socket;
  if (config->node.name.empty()) config->node.name = host_name();
  return Settings{*paths, *config, builder.print()};
}

// Keys must reach neither a core file nor a debugger of the same user.
void harden() {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  std::signal(SIGPIPE, SIG_IGN);
}

std::string variable(const Environment& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string{} : found->second;
}

void greet(const Driver& driver, const Settings& settings) {
  if (!driver.is_new()) return;
  const bool is_alone = settings.config.network.join.empty();
  std::fprintf(
      stderr,
      "This node is new: %s now holds its key%s.\n"
      "Next: `kith put greeting hello`; and `kith invite` prints what another device's `kithd --join` takes.\n",
      settings.paths.data_folder.c_str(), is_alone ? " and a mesh of one, closed to everybody else" : "");
}

// Only what does not touch what is bound or stored can change while the daemon runs.
void reload(const Flags& flags, const Environment& environment, LogSink sink) {
  const auto settings = read_settings(flags, environment);
  if (!settings) return log_error("the configuration is as before", {{"cause", settings.error().message}});
  start_log(settings->config.log, sink);
  log_info("read the configuration again; log options are in effect, others need a restart");
}

int serve(const Settings& settings, const Flags& flags, const Environment& environment) {
  const LogSink sink = variable(environment, "JOURNAL_STREAM").empty() ? LogSink::terminal : LogSink::journal;
  start_log(settings.config.log, sink);
  uv_loop_t loop;
  if (uv_loop_init(&loop) != 0) return complain({dht::ErrorCode::internal, "cannot make an event loop"});
  int exit_code = 0;
  {
    Driver driver(loop,
                  {.config = settings.config,
                   .folder = settings.paths.data_folder,
                   .socket = settings.paths.socket,
                   .notify_socket = variable(environment, "NOTIFY_SOCKET"),
                   .reload = [&] { reload(flags, environment, sink); }},
                  crypto::Rng(draw_seed()));
    const dht::Status started = driver.start();
    if (started) {
      greet(driver, settings);
      exit_code = driver.run();
    } else {
      exit_code = complain(started.error());
    }
    const dht::Status ended = driver.end();
    if (!ended && exit_code == 0) exit_code = complain(ended.error());
  }
  uv_loop_close(&loop);
  if (exit_code == 0) log_info("stopped");
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  const ParsedFlags parsed = parse_flags(argc, argv);
  if (!parsed.flags) return parsed.exit_code;
  const Environment environment = environment_of(environ);
  const auto settings = read_settings(*parsed.flags, environment);
  if (!settings) return complain(settings.error());
  if (parsed.flags->action == Action::print_config) {
    std::fputs(settings->printed.c_str(), stdout);
    return 0;
  }
  harden();
  if (!crypto::init() || !crypto::self_test()) {
    return complain({dht::ErrorCode::internal, "libsodium does not compute what it must; install another version"});
  }
  return serve(*settings, *parsed.flags, environment);
}
