// SPDX-License-Identifier: MIT
#include "cli/part_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "cli/exit.h"

namespace kith::cli {

namespace {

// Of the folder: the name is kept, too.
void sync_folder_of(const std::string& file) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

PartFile::PartFile(std::string file, std::uint64_t bytes) : file_(std::move(file)), part_(file_ + ".part") {
  descriptor_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) die_of("cannot be made");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    die(Exit::refused, fmt::format("another command is writing {}; wait for it to end", part_));
  }
  struct stat before {};
  if (::fstat(descriptor_, &before) != 0) die_of("cannot be looked at");
  is_begun_ = before.st_size > 0;
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) die_of("cannot be made as long as the blob");
}

PartFile::~PartFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void PartFile::read(std::uint64_t at, crypto::MutableByteSpan bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::pread(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(at + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) die_of("cannot be read");
    done += static_cast<std::size_t>(count);
  }
}

void PartFile::write(std::uint64_t at, crypto::ByteSpan bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count =
        ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(at + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) die_of("cannot be written");
    done += static_cast<std::size_t>(count);
  }
}

void PartFile::finish() {
  if (::fsync(descriptor_) != 0) die_of("cannot be synced");
  if (std::rename(part_.c_str(), file_.c_str()) != 0) die_of("cannot be given its name");
  sync_folder_of(file_);
}

void PartFile::die_of(const char* what) const {
  die(Exit::internal, fmt::format("{} {}: {}", part_, what,
                                  std::strerror(errno)));  // NOLINT(concurrency-mt-unsafe): one thread
}

}  // namespace kith::cli
