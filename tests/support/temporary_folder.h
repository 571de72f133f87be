// SPDX-License-Identifier: MIT
// A folder of a test's own, removed with everything in it when the test ends. In memory where the system offers that:
// a sync costs nothing there, and a test opens a database a hundred times.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace kith::tests {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::filesystem::path parent = std::filesystem::temp_directory_path();
    if (parent == "/tmp" && std::filesystem::is_directory("/dev/shm")) parent = "/dev/shm";  // no TMPDIR: in memory
    std::string name = (parent / "kith-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace kith::tests
