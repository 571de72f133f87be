// SPDX-License-Identifier: MIT
// snapshot and restore: a whole copy of the database, and its records brought back.
#include <fmt/chrono.h>
#include <fmt/core.h>

#include <filesystem>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"

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

}  // namespace

Exit snapshot(const Common& common, const std::string& file) {
  Client client(find_socket(common.socket));
  const std::string path = absolute(file);
  const RpcValue answer = [&] {
    Progress progress("copying", 0, Progress::Unit::bytes);
    return client.call(
        "snapshot", [&](RpcWriter& params) { params.map(1).text("file").name(path); }, shown_by(progress));
  }();
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
  Client client(find_socket(common.socket));
  const std::string path = absolute(command.file);
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
  warn_of_refusals(answer);
  return number(answer["refused"]) > 0 ? Exit::refused : Exit::done;
}

}  // namespace kith::cli
