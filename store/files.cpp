// SPDX-License-Identifier: MIT
#include "store/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace kith::store {
namespace {

using dht::Done;
using dht::Error;
using dht::ErrorCode;
using dht::Result;
using dht::Status;

std::string octal(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return text.data();
}

// Why a file that should be private is not to be trusted; empty when it is.
std::string distrust(const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return path + " is not a regular file";
  if (status.st_uid != geteuid()) return path + " belongs to another user (uid " + std::to_string(status.st_uid) + ")";
  if ((status.st_mode & 077) != 0) {
    return path + " can be opened by others (mode " + octal(status.st_mode) + "); run: chmod 600 " + path;
  }
  return {};
}

bool read_all(const File& file, crypto::MutableByteSpan into) {
  while (!into.empty()) {
    const ssize_t count = ::read(file.descriptor(), into.data(), into.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    into = into.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

Status write_new_file(const std::string& path, crypto::ByteSpan bytes) {
  ::unlink(path.c_str());  // left by a crash
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) return system_error("cannot create " + path, errno);
  if (!write_at(file, bytes, 0)) return system_error("cannot write " + path, errno);
  if (::fsync(file.descriptor()) != 0) return system_error("cannot sync " + path, errno);
  return Done{};
}

std::string folder_of(const std::string& path) { return std::filesystem::path(path).parent_path().string(); }

}  // namespace

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Error system_error(const std::string& what, int code) {
  return {ErrorCode::storage, what + ": " + std::system_category().message(code)};
}

Result<crypto::Bytes> read_private_file(const std::string& path, std::size_t size) {
  const File file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open() && errno == ENOENT) return Error{ErrorCode::not_found, path + " does not exist"};
  if (!file.is_open() && errno == ELOOP) return Error{ErrorCode::denied, path + " is a symbolic link"};
  if (!file.is_open()) return system_error("cannot open " + path, errno);

  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) return system_error("cannot examine " + path, errno);
  if (std::string why = distrust(path, status); !why.empty()) return Error{ErrorCode::denied, std::move(why)};
  if (static_cast<std::uint64_t>(status.st_size) != size) {
    return Error{ErrorCode::invalid, path + " holds " + std::to_string(status.st_size) + " bytes instead of " +
                                         std::to_string(size) + "; restore it from a backup"};
  }
  crypto::Bytes bytes(size);
  if (!read_all(file, bytes)) return system_error("cannot read " + path, errno);
  return bytes;
}

Status replace_private_file(const std::string& path, crypto::ByteSpan bytes) {
  const std::string fresh = path + ".tmp";
  if (Status written = write_new_file(fresh, bytes); !written) return written;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return system_error("cannot rename " + fresh, errno);
  return sync_folder(folder_of(path));
}

Status create_private_file(const std::string& path, crypto::ByteSpan bytes) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return Error{ErrorCode::conflict, path + " exists already"};
  if (errno != ENOENT) return system_error("cannot examine " + path, errno);
  return replace_private_file(path, bytes);
}

Status sync_folder(const std::string& folder) {
  const File opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open()) return system_error("cannot open " + folder, errno);
  if (::fsync(opened.descriptor()) != 0) return system_error("cannot sync " + folder, errno);
  return Done{};
}

bool write_at(const File& file, crypto::ByteSpan bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return true;
}

std::optional<std::uint64_t> free_bytes(const std::string& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace kith::store
