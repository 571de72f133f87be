// SPDX-License-Identifier: MIT
// The keys of the whole mesh, page by page, in the order of their hashes.
#pragma once

#include <string>
#include <vector>

#include "cli/client.h"

namespace kith::cli {

class Pages {
 public:
  // `after`: a place that an earlier listing told; empty: from the beginning.
  Pages(Client& client, std::string prefix, crypto::Bytes after = {})
      : client_(client), prefix_(std::move(prefix)), after_(std::move(after)) {}

  // Only keys of blobs. Before the first page.
  void list_only_manifests() { is_of_manifests_ = true; }

  bool has_more() const { return has_more_; }
  // Up to `count` keys, perhaps none though there are more. Requires: has_more().
  std::vector<std::string> next(std::size_t count = 1000);

  // Where the listing goes on; empty at its end.
  const crypto::Bytes& after() const { return after_; }
  // Some members did not answer: keys that only they hold are missing.
  bool is_partial() const { return is_partial_; }

 private:
  Client& client_;
  std::string prefix_;
  crypto::Bytes after_;
  bool has_more_ = true;
  bool is_of_manifests_ = false;
  bool is_partial_ = false;
};

}  // namespace kith::cli
