// SPDX-License-Identifier: MIT
#include "store/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <string_view>

namespace kith::store {
namespace {

using dht::Done;
using dht::Error;
using dht::ErrorCode;
using dht::Result;
using dht::Status;

constexpr std::size_t holder_bytes_max = 128;

std::string utc_text(dht::WallMs wall_ms) {
  const auto seconds = static_cast<std::time_t>(wall_ms / 1000);
  std::tm parts{};
  std::array<char, 32> text{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "an unknown time";
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

// What the holder wrote about itself, made printable: the file may hold anything.
std::string holder_of(const File& lock) {
  std::array<char, holder_bytes_max> text{};
  const ssize_t count = ::pread(lock.descriptor(), text.data(), text.size(), 0);
  std::string holder(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  for (char& c : holder) {
    if (c < ' ' || c > '~') c = '?';
  }
  return holder.empty() ? "another process" : holder;
}

Status make_folder(const std::string& path) {
  std::error_code failure;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, failure);
  if (failure) return system_error("cannot create " + parent.string(), failure.value());
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("cannot create " + path, errno);
  return Done{};
}

Status write_holder(const File& lock, const std::string& path, dht::WallMs started) {
  const std::string text = "kithd, process " + std::to_string(::getpid()) + ", since " + utc_text(started) + "\n";
  if (::ftruncate(lock.descriptor(), 0) == 0 && write_at(lock, crypto::as_bytes(text), 0)) return Done{};
  return system_error("cannot write " + path, errno);
}

}  // namespace

Result<DataFolder> DataFolder::open(const std::string& path, dht::WallMs started) {
  if (Status made = make_folder(path); !made) return made.error();
  const std::string lock_path = path + "/lock";
  File lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock.is_open()) return system_error("cannot open " + lock_path, errno);
  if (::flock(lock.descriptor(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("cannot lock " + lock_path, errno);
    return Error{ErrorCode::conflict,
                 path + " is in use by " + holder_of(lock) + "; stop it or choose another folder with --home"};
  }
  if (Status written = write_holder(lock, lock_path, started); !written) return written.error();
  return DataFolder(path, std::move(lock));
}

}  // namespace kith::store
