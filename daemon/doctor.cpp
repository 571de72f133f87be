// SPDX-License-Identifier: MIT
#include "daemon/doctor.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <system_error>

#include "daemon/config.h"
#include "daemon/network.h"
#include "daemon/paths.h"
#include "dht/model/limits.h"
#include "store/health.h"
#include "store/replacement.h"

namespace kith::daemon {
namespace {

constexpr std::uint64_t mebibyte = 1U << 20;
constexpr std::uint64_t bytes_comfortable = 512 * mebibyte;
constexpr std::uint64_t inodes_needed = 100;
constexpr std::int64_t clock_off_comfortable_ms = 10'000;
constexpr auto refused_ahead_ms = static_cast<std::int64_t>(dht::limits::skew_shared_ms);

std::string reason(int code) { return std::system_category().message(code); }

Finding examine_clock() {
  timex state{};
  if (adjtimex(&state) == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
    return {"clock", Verdict::warn, "nothing keeps the clock right",
            "run a time service (systemd-timesyncd, chrony): a clock a minute ahead has its writes refused"};
  }
  return {"clock", Verdict::ok, "kept right by a time service"};
}

Finding examine_disk(const Patient& patient) {
  const std::string& folder = patient.folder;
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) {
    return {"disk", Verdict::warn, folder + ": " + reason(errno), "the first start of kithd makes the folder"};
  }
  const std::uint64_t bytes = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
  std::string found = std::to_string(bytes / mebibyte) + " MiB free at " + folder;
  if (bytes < patient.disk_reserve_bytes) {
    found += ", and storage.reserve_bytes is " + std::to_string(patient.disk_reserve_bytes / mebibyte) + " MiB";
    return {"disk", Verdict::fail, found, "make room: writes are refused, reads go on"};
  }
  // A file system without a table of inodes says that it has none.
  if (status.f_files > 0 && status.f_favail < inodes_needed) {
    return {"disk", Verdict::fail, std::to_string(status.f_favail) + " inodes free at " + folder, "remove files there"};
  }
  if (bytes < std::max(bytes_comfortable, 2 * patient.disk_reserve_bytes))
    return {"disk", Verdict::warn, found, "make room before writes are refused"};
  return {"disk", Verdict::ok, found};
}

bool has_damaged_database(const std::string& folder) {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
    if (entry.path().filename().string().starts_with("kith.db.damaged-")) return true;
  }
  return false;
}

Finding examine_database(const std::string& folder) {
  const std::string path = folder + "/kith.db";
  if (::access(path.c_str(), R_OK) != 0) {
    const int code = errno;
    if (code == ENOENT && store::may_be_pending(folder)) {
      return {"database", Verdict::warn, path + " is about to be replaced by what was whole of a damaged one",
              "start kithd again: it goes on"};
    }
    return {"database", Verdict::warn, path + ": " + reason(code),
            code == ENOENT ? "the first start of kithd makes it" : "run kith doctor as the user of kithd, or as root"};
  }
  const dht::Status whole = store::check_database(path);
  if (!whole) {
    return {
        "database", Verdict::fail, whole.error().message,
        "start kithd again: it keeps every row that is whole and fetches the others from replicas; look at the disk"};
  }
  if (has_damaged_database(folder)) {
    return {"database", Verdict::warn, path + " is whole; a damaged one lies beside it",
            "look at the disk's health; remove " + folder + "/kith.db.damaged-* when you like"};
  }
  return {"database", Verdict::ok, path + " is whole"};
}

// What a start needs to find the others again. Those whom it knows are told by the daemon while it runs.
Finding examine_contacts(const std::string& folder) {
  const dht::Result<std::uint64_t> count = store::count_contacts(folder + "/kith.db");
  if (!count) return {"contacts", Verdict::warn, count.error().message, "see to the database first"};
  if (*count == 0) {
    return {"contacts", Verdict::warn, "no other member is remembered",
            "where there is one: kithd --join SEED, which `kith status` shows there; alone, all is well"};
  }
  return {"contacts", Verdict::ok, "other members that are remembered: " + std::to_string(*count)};
}

Finding examine_keys(const std::string& folder) {
  for (const char* name : {"node.key", "mesh.key"}) {
    const std::string path = folder + "/" + name;
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
      const bool is_missing = errno == ENOENT;
      return {"keys", Verdict::warn, path + ": " + reason(errno),
              is_missing ? "the first start of kithd makes it; if it was lost, put your copy of it back first"
                         : "run kith doctor as the user of kithd, or as root"};
    }
    if (!S_ISREG(status.st_mode)) return {"keys", Verdict::fail, path + " is no file", "put the key itself there"};
    if ((status.st_mode & 077) != 0) {
      return {"keys", Verdict::fail, path + " can be opened by others", "chmod 600 " + path};
    }
  }
  return {"keys", Verdict::ok, "node.key and mesh.key are their owner's alone"};
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::warn:
      return "warn";
    case Verdict::fail:
      break;
  }
  return "fail";
}

dht::Result<Patient> find_patient(const std::string& home) {
  const auto paths = find_paths({.home = home, .is_root = ::geteuid() == 0}, environment_of(environ));
  if (!paths) return paths.error();
  ConfigBuilder builder;
  if (may_exist(paths->config_file)) {
    const auto given = read_toml_file(paths->config_file);
    if (!given) return given.error();
    if (dht::Status status = builder.add(*given); !status) return status.error();
  }
  const auto config = builder.finish();
  if (!config) return config.error();
  const std::vector<std::string>& listen = config->network.listen;
  const std::string first = listen.empty() ? "" : listen.front().substr(listen.front().rfind(':') + 1);
  const int configured = first.empty() ? config->network.port : std::atoi(first.c_str());
  const int port = configured == 0 ? default_port : configured;
  return Patient{.folder = config->node.data.empty() ? paths->data_folder : config->node.data,
                 .address = {},
                 .port = static_cast<std::uint16_t>(port),
                 .has_discovery = config->network.discovery,
                 .disk_reserve_bytes = static_cast<std::uint64_t>(config->storage.reserve_bytes)};
}

Finding compare_clocks(const dht::ClockSurvey& others) {
  const char* check = "other clocks";
  if (others.members == 0) return {check, Verdict::ok, "no other member has told its time yet"};
  const std::int64_t off_ms = std::abs(others.ahead_ms);
  const bool is_behind = others.ahead_ms > 0;
  std::ostringstream found;
  found << std::fixed << std::setprecision(1) << static_cast<double>(off_ms) / 1e3 << " s "
        << (is_behind ? "behind " : "ahead of ") << others.members << (others.members == 1 ? " other" : " others");
  if (off_ms <= clock_off_comfortable_ms) return {check, Verdict::ok, found.str()};
  const std::string advice = "set the clock that is wrong, this device's where it differs from several: ";
  if (off_ms <= refused_ahead_ms) {
    return {check, Verdict::warn, found.str(), advice + "a minute apart, writes are refused"};
  }
  return {check, Verdict::fail, found.str(),
          advice + (is_behind ? "what the others write is refused here" : "the others refuse what this device writes")};
}

std::vector<Finding> examine(const Patient& patient) {
  std::vector<Finding> findings{examine_clock(), examine_port(patient), examine_multicast(patient),
                                examine_disk(patient), examine_database(patient.folder)};
  if (patient.address.empty()) findings.push_back(examine_contacts(patient.folder));
  findings.push_back(examine_keys(patient.folder));
  return findings;
}

}  // namespace kith::daemon
