// SPDX-License-Identifier: MIT
#include "store/replacement.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace kith::store {
namespace {

using dht::Done;
using dht::Error;
using dht::ErrorCode;
using dht::Result;
using dht::Status;

constexpr int damaged_files_max = 1000;
constexpr std::string_view salvaged_prefix = "kith.db.salvaged-";

// The database goes last: whoever opens a log that lies alone makes an empty database beside it and drops the log.
constexpr std::array<std::string_view, 4> endings{"-journal", "-wal", "-shm", ""};

std::string damaged_path(const DataFolder& folder, const std::string& number) {
  return folder.file("kith.db.damaged-") + number;
}
std::string salvaged_path(const DataFolder& folder, const std::string& number) {
  return folder.path() + "/" + std::string(salvaged_prefix) + number;
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 || errno != ENOENT;
}

// What a program made that looked at the database when a part of it had been moved: an empty log, an index of one.
bool holds_nothing(const std::string& path, std::string_view ending) {
  struct stat status {};
  return ending == "-shm" || (::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0);
}

Status rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return Done{};
  Error error = system_error("cannot rename " + from + " to " + to, errno);
  error.message += "; nothing is lost: mend that, then start kithd again, which goes on from there";
  return error;
}

Status move_aside(const std::string& from, const std::string& to, std::string_view ending) {
  if (!exists(from)) return Done{};
  if (!exists(to)) return rename_file(from, to);
  if (!holds_nothing(from, ending)) {
    return Error{ErrorCode::storage, from + " is to become " + to +
                                         ", which exists already; move that one to another folder, then start kithd "
                                         "again"};
  }
  return ::unlink(from.c_str()) == 0 ? Status(Done{}) : system_error("cannot remove " + from, errno);
}

// Of the whole copy that waits for its place; empty: there is none.
Result<std::string> pending_number(const std::string& folder_path) {
  std::error_code failure;
  std::filesystem::directory_iterator entry(folder_path, failure);
  for (const std::filesystem::directory_iterator end; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(salvaged_prefix)) continue;
    const std::string number = name.substr(salvaged_prefix.size());
    if (!number.empty() && number.find_first_not_of("0123456789") == std::string::npos) return number;
  }
  if (failure) return system_error("cannot list " + folder_path, failure.value());
  return std::string();
}

// The first number of which no file is left, nor a file beside one: the log of another database is as bad as the
// database itself.
Result<std::string> free_number(const DataFolder& folder) {
  for (int i = 1; i < damaged_files_max; ++i) {
    std::string number = std::to_string(i);
    const std::string path = damaged_path(folder, number);
    const auto is_taken = [&](std::string_view ending) { return exists(path + std::string(ending)); };
    if (std::none_of(endings.begin(), endings.end(), is_taken)) return number;
  }
  return Error{ErrorCode::storage, "too many damaged databases, kith.db.damaged-*, lie in " + folder.path() +
                                       "; remove some, then start kithd again"};
}

// Steps 3 and 4.
Result<std::string> put_in_place(const DataFolder& folder, const std::string& number) {
  if (Status synced = sync_folder(folder.path()); !synced) return synced.error();
  const std::string path = folder.file("kith.db");
  std::string aside = damaged_path(folder, number);
  for (const std::string_view ending : endings) {
    const std::string end(ending);
    if (Status moved = move_aside(path + end, aside + end, ending); !moved) return moved.error();
  }
  if (Status synced = sync_folder(folder.path()); !synced) return synced.error();
  if (Status renamed = rename_file(salvaged_path(folder, number), path); !renamed) return renamed.error();
  if (Status synced = sync_folder(folder.path()); !synced) return synced.error();
  return aside;
}

}  // namespace

std::string part_path(const DataFolder& folder) { return folder.file("kith.db.part"); }

Result<std::string> replace_database(const DataFolder& folder) {
  const Result<std::string> number = free_number(folder);
  if (!number) return number.error();
  if (Status renamed = rename_file(part_path(folder), salvaged_path(folder, *number)); !renamed) return renamed.error();
  return put_in_place(folder, *number);
}

Result<std::string> finish_replacement(const DataFolder& folder) {
  const std::string part = part_path(folder);
  if (::unlink(part.c_str()) != 0 && errno != ENOENT) return system_error("cannot remove " + part, errno);
  const Result<std::string> number = pending_number(folder.path());
  if (!number) return number.error();
  if (number->empty()) return std::string();
  return put_in_place(folder, *number);
}

bool may_be_pending(const std::string& folder_path) {
  const Result<std::string> number = pending_number(folder_path);
  return !number || !number->empty();
}

}  // namespace kith::store
