// SPDX-License-Identifier: MIT
#include "store/side_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace kith::store {
namespace {

using dht::Done;
using dht::Result;
using dht::Status;

constexpr std::size_t seal_bytes = std::tuple_size_v<Seal>;
using AuthorBytes = std::array<std::uint8_t, 16 + seal_bytes>;
using MarkBytes = std::array<std::uint8_t, 8 + seal_bytes>;

template <std::size_t N>
void seal_end(std::array<std::uint8_t, N>& bytes, const Sealer& sealer, Sealer::Sole what) {
  const Seal seal = sealer.sole(what, std::span(bytes).template first<N - seal_bytes>());
  std::copy(seal.begin(), seal.end(), bytes.end() - seal_bytes);
}

bool has_seal(crypto::ByteSpan bytes, const Sealer& sealer, Sealer::Sole what) {
  return is_equal(sealer.sole(what, bytes.first(bytes.size() - seal_bytes)), bytes.last(seal_bytes));
}

}  // namespace

Result<SideFiles> SideFiles::open(const DataFolder& folder, const Sealer& sealer) {
  const std::string path = folder.file("commit.mark");
  File mark(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!mark.is_open()) return system_error("cannot open " + path, errno);
  return SideFiles(folder.file("author.state"), std::move(mark), sealer);
}

std::optional<dht::AuthorState> SideFiles::author() const {
  const Result<crypto::Bytes> bytes = read_private_file(author_path_, std::tuple_size_v<AuthorBytes>);
  if (!bytes || !has_seal(*bytes, sealer_, Sealer::Sole::author_file)) return std::nullopt;
  return dht::AuthorState{.run = crypto::load_be64(bytes->data()), .reserved = crypto::load_be64(bytes->data() + 8)};
}

std::optional<std::uint64_t> SideFiles::commits() const {
  MarkBytes bytes{};
  const ssize_t count = ::pread(mark_.descriptor(), bytes.data(), bytes.size(), 0);
  if (count != static_cast<ssize_t>(bytes.size())) return std::nullopt;
  if (!has_seal(bytes, sealer_, Sealer::Sole::mark_file)) return std::nullopt;
  return crypto::load_be64(bytes.data());
}

Status SideFiles::write_author(const dht::AuthorState& state) {
  AuthorBytes bytes{};
  crypto::store_be64(bytes.data(), state.run);
  crypto::store_be64(bytes.data() + 8, state.reserved);
  seal_end(bytes, sealer_, Sealer::Sole::author_file);
  return replace_private_file(author_path_, bytes);
}

Status SideFiles::write_commits(std::uint64_t commits) {
  MarkBytes bytes{};
  crypto::store_be64(bytes.data(), commits);
  seal_end(bytes, sealer_, Sealer::Sole::mark_file);
  if (!write_at(mark_, bytes, 0)) return system_error("cannot write commit.mark", errno);
  return Done{};
}

}  // namespace kith::store
