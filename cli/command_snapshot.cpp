// SPDX-License-Identifier: MIT
// snapshot and restore: a whole copy of the database, and its records brought back.
#include <fmt/chrono.h>
#include <fmt/core.h>

#include <filesystem>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"
#include "daemon/fresh_home.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;

std::uint64_t number(const RpcValue& value) { return value.number().value_or(0); }

// The daemon opens the file, and stands elsewhere.
std::string absolute(const std::string& file) {
  std::error_code failure;
  const std::filesystem::path path = std::filesystem::absolute(file, failure);
  if (failure) die(Exit::usage, fmt::format("{} cannot be resolved: {}", file, failure.message()));
  return path.lexically_normal().string();
}

Client::OnProgress shown_by(Progress& progress) {
  return [&progress](const RpcValue& params) { progress.show(number(params["done"]), number(params["total"])); };
}

std::string utc(std::uint64_t wall_ms) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(wall_ms / 1000)));
}

void warn_of_refusals(const RpcValue& answer) {
  if (number(answer["refused"]) == 0) return;
  fmt::print(stderr, "kith: {} records were refused; the first: {}\n", grouped(number(answer["refused"])),
             answer["first_refusal"].text().value_or(""));
}

// Without a daemon there, and without a database, a home can be made of the snapshot alone.
bool is_fresh(const std::string& home) {
  std::error_code ignored;
  return !home.empty() && !is_served(home + "/kith.sock") && !std::filesystem::exists(home + "/kith.db", ignored);
}

Exit restore_fresh(const Common& common, const std::string& file) {
  const std::string home = absolute(common.socket.home);
  const auto restored = [&] {
    Progress progress("restoring", 0);
    return daemon::restore_home(home, file,
                                [&](std::uint64_t done, std::uint64_t total) { progress.show(done, total); });
  }();
  if (!restored) die(exit_of(dht::to_string(restored.error().code)), restored.error().message);
  if (common.json) {
    const nlohmann::ordered_json answer{{"home", home},
                                        {"node", restored->node},
                                        {"mesh", restored->mesh},
                                        {"taken_ms", restored->taken_ms},
                                        {"records", restored->records},
                                        {"refused", restored->refused}};
    fmt::print("{}\n", answer.dump());
  } else {
    fmt::print(stderr,
               "{} records of {} are in {}, under a new node of mesh {}.\nNext: kithd --home {}; members that live are "
               "found and merged with.\n",
               grouped(restored->records), utc(restored->taken_ms), home, restored->mesh.substr(0, 8), home);
  }
  if (restored->refused == 0) return Exit::done;
  fmt::print(stderr, "kith: {} records were refused: they are not what their authors signed\n",
             grouped(restored->refused));
  return Exit::refused;
}

}  // namespace

Exit snapshot(const Common& common, const std::string& file) {
  Client client(find_socket(common.socket));
  const std::string path = absolute(file);
  const RpcValue answer = [&] {
    Progress progress("copying", 0, Progress::Unit::bytes);
    return client.call(
        "snapshot", [&](RpcWriter& params) { params.map(1).text("file").name(path); }, shown_by(progress));
  }();
  std::error_code ignored;
  if (std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found) {
    die(Exit::refused,
        "the daemon says that it wrote " + path +
            ", and it is not there: its service has a folder of its own in this place. Name one that both "
            "see, as /var/lib/kith");
  }
  if (common.json) {
    fmt::print("{}\n", to_json(answer).dump());
    return Exit::done;
  }
  fmt::print(stderr,
             "{}: {} in {:.1f} s. It holds every value and the mesh's secret: keep it as you would a password.\n", path,
             human_bytes(number(answer["bytes"])), answer["took_ms"].real().value_or(0) / 1e3);
  return Exit::done;
}

Exit restore(const Common& common, const RestoreCommand& command) {
  const std::string path = absolute(command.file);
  if (is_fresh(common.socket.home)) return restore_fresh(common, path);
  Client client(find_socket(common.socket));
  const RpcValue answer = [&] {
    Progress progress("restoring", 0);
    return client.call(
        "restore",
        [&](RpcWriter& params) { params.map(2).text("file").name(path).text("after").number(command.after); },
        shown_by(progress));
  }();
  if (common.json) {
    fmt::print("{}\n", to_json(answer).dump());
  } else {
    fmt::print(stderr, "{} records of {} merged in {:.1f} s; what is newer here stayed\n",
               grouped(number(answer["done"])), utc(number(answer["taken_ms"])),
               answer["took_ms"].real().value_or(0) / 1e3);
  }
  if (const std::uint64_t waiting = number(answer["waiting"]); waiting > 0) {
    fmt::print(stderr, "kith: {} of them wait here until a replica is back\n", grouped(waiting));
  }
  warn_of_refusals(answer);
  return number(answer["refused"]) > 0 ? Exit::refused : Exit::done;
}

}  // namespace kith::cli
