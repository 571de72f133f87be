// SPDX-License-Identifier: MIT
#include "daemon/flags.h"

#include <CLI/CLI.hpp>

namespace kith::daemon {
namespace {

constexpr int exit_usage = 64;  // sysexits.h, EX_USAGE

constexpr const char* footer = R"text(Examples:
  kithd                                       a daemon for this user, in a mesh of its own or the one it knows
  kithd --home /tmp/a --listen 127.0.0.1:0    everything in one folder, on loopback, at a free port
  kithd --home /tmp/b --join "$(kith --home /tmp/a invite)"
  kithd --print-config                        every option, its value and where that comes from

Without --listen it takes port 5484, or a free one where that is taken. An invite is a secret: on a machine with
other users put it in the configuration (network.join) instead.
Manual: kithd(8), kith.toml(5).)text";

struct Raw {
  Flags flags;
  std::vector<std::string> listen;
  std::vector<std::string> join;
  bool no_discovery = false;
  bool print_config = false;
};

void declare(CLI::App& app, Raw& raw) {
  app.footer(footer);
  app.set_version_flag("--version", "kithd " KITH_VERSION);
  app.add_option("--home", raw.flags.home, "Keep configuration, data and socket in this folder")->type_name("DIR");
  app.add_option("--config", raw.flags.config, "Read this configuration")->type_name("FILE");
  app.add_option("--listen", raw.listen, "Listen here; may be repeated")
      ->type_name("HOST:PORT")
      ->allow_extra_args(false);
  app.add_option("--join", raw.join, "Join a mesh by an invite, or by KEY@HOST:PORT of a member; may be repeated")
      ->type_name("INVITE")
      ->allow_extra_args(false);
  app.add_flag("--no-discovery", raw.no_discovery, "Neither announce this node on the local network nor listen");
  app.add_option("--set", raw.flags.assignments, "Set an option of the configuration; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  app.add_flag("--print-config", raw.print_config, "Print every option with its value and origin, and exit");
}

Flags finish(Raw raw) {
  Flags flags = std::move(raw.flags);
  if (!raw.listen.empty()) flags.given.push_back({"network.listen", std::move(raw.listen), "--listen"});
  if (!raw.join.empty()) flags.given.push_back({"network.join", std::move(raw.join), "--join"});
  if (raw.no_discovery) flags.given.push_back({"network.discovery", false, "--no-discovery"});
  if (raw.print_config) flags.action = Action::print_config;
  return flags;
}

}  // namespace

ParsedFlags parse_flags(int count, const char* const* arguments) {
  CLI::App app{"kith's daemon: keeps signed values with the other devices of your mesh.", "kithd"};
  Raw raw;
  declare(app, raw);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return {std::nullopt, status == 0 ? 0 : exit_usage};
  }
  return {finish(std::move(raw)), 0};
}

}  // namespace kith::daemon
