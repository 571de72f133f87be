// SPDX-License-Identifier: MIT
// A file that is being fetched: FILE.part beside FILE until it is whole. Who begins again goes on with what is there,
// checked anew.
#pragma once

#include <cstdint>
#include <string>

#include "crypto/bytes.h"

namespace kith::cli {

class PartFile {
 public:
  // Opens FILE.part, or makes it, of so many bytes; what was there stays. Ends the program where that cannot be, and
  // where another command writes it.
  PartFile(std::string file, std::uint64_t bytes);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  // Something was there before.
  bool is_begun() const { return is_begun_; }

  // Both end the program where the disk fails.
  void read(std::uint64_t at, crypto::MutableByteSpan bytes) const;
  void write(std::uint64_t at, crypto::ByteSpan bytes);

  // Makes it durable and gives it its name, in place of what had that.
  void finish();

 private:
  [[noreturn]] void die_of(const char* what) const;

  std::string file_;
  std::string part_;
  int descriptor_ = -1;
  bool is_begun_ = false;
};

}  // namespace kith::cli
