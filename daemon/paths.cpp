// SPDX-License-Identifier: MIT
#include "daemon/paths.h"

#include <cstring>
#include <filesystem>

namespace kith::daemon {
namespace {

std::string variable(const Environment& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string{} : found->second;
}

std::string first_of(std::string preferred, std::string other) {
  return preferred.empty() ? std::move(other) : std::move(preferred);
}

Paths paths_in(const std::string& home) { return {home + "/kith.toml", home, home + "/kith.sock"}; }

Paths system_paths(const Environment& environment) {
  return {first_of(variable(environment, "CONFIGURATION_DIRECTORY"), "/etc/kith") + "/kith.toml",
          first_of(variable(environment, "STATE_DIRECTORY"), "/var/lib/kith"),
          first_of(variable(environment, "RUNTIME_DIRECTORY"), "/run/kith") + "/kith.sock"};
}

dht::Result<Paths> user_paths(const Environment& environment) {
  const std::string user = variable(environment, "HOME");
  if (user.empty()) {
    return dht::Error{dht::ErrorCode::invalid,
                      "HOME is not set, so there is no place for kith's files; give --home DIR"};
  }
  const std::string state = first_of(variable(environment, "XDG_STATE_HOME"), user + "/.local/state") + "/kith";
  const std::string runtime = variable(environment, "XDG_RUNTIME_DIR");
  return Paths{first_of(variable(environment, "XDG_CONFIG_HOME"), user + "/.config") + "/kith/kith.toml", state,
               (runtime.empty() ? state : runtime + "/kith") + "/kith.sock"};
}

dht::Result<Paths> usual_paths(const PathRequest& request, const Environment& environment) {
  const std::string home = first_of(request.home, variable(environment, "KITH_HOME"));
  if (!home.empty()) {
    std::error_code failure;
    const auto absolute = std::filesystem::absolute(home, failure).lexically_normal();
    if (failure) return dht::Error{dht::ErrorCode::invalid, "cannot resolve " + home + ": " + failure.message()};
    return paths_in(absolute.has_filename() ? absolute.string() : absolute.parent_path().string());
  }
  const bool is_service = !variable(environment, "STATE_DIRECTORY").empty();
  if (is_service || request.is_root) return system_paths(environment);
  return user_paths(environment);
}

}  // namespace

Environment environment_of(char** variables) {
  Environment result;
  for (; variables != nullptr && *variables != nullptr; ++variables) {
    const char* equals = std::strchr(*variables, '=');
    if (equals != nullptr)
      result.emplace(std::string(static_cast<const char*>(*variables), equals), std::string(equals + 1));
  }
  return result;
}

dht::Result<Paths> find_paths(const PathRequest& request, const Environment& environment) {
  auto paths = usual_paths(request, environment);
  if (!paths) return paths;

  const std::string config = first_of(request.config, variable(environment, "KITH_CONFIG"));
  if (!config.empty()) {
    paths->config_file = config;
    paths->config_was_named = true;
  }
  paths->socket = first_of(variable(environment, "KITH_SOCKET"), paths->socket);
  return paths;
}

}  // namespace kith::daemon
