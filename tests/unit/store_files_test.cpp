// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "store/mesh_key.h"
#include "store/node_key.h"
#include "tests/support/temporary_folder.h"

using namespace kith;
using dht::ErrorCode;
using store::DataFolder;
namespace fs = std::filesystem;

namespace {

struct Home {
  tests::TemporaryFolder folder;
  DataFolder data = std::move(*DataFolder::open(folder.file("data"), 1'700'000'000'000));
};

const crypto::Secret<32> fresh(crypto::Bytes(32, 5));

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

void write_file(const std::string& path, std::size_t size, fs::perms mode = fs::perms::owner_read) {
  std::ofstream(path) << std::string(size, 'k');
  fs::permissions(path, mode);
}

ErrorCode refusal(const DataFolder& data) {
  const auto key = store::load_or_create_node_key(data, fresh);
  REQUIRE_FALSE(key.has_value());
  CHECK(key.error().message.find("node.key") != std::string::npos);
  return key.error().code;
}

}  // namespace

TEST_CASE("a data folder is its owner's alone, and so are the files in it", "[store][files]") {
  const Home home;
  CHECK(mode_of(home.data.path()) == 0700);
  CHECK(mode_of(home.data.file("lock")) == 0600);
}

TEST_CASE("who comes second learns who holds the folder", "[store][files]") {
  const Home home;
  const auto second = DataFolder::open(home.data.path(), 0);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::conflict);
  const std::string& message = second.error().message;
  CHECK(message.find(home.data.path()) != std::string::npos);
  CHECK(message.find("process " + std::to_string(::getpid())) != std::string::npos);
  CHECK(message.find("2023-11-14 22:13:20 UTC") != std::string::npos);
}

TEST_CASE("a folder is free again when its holder is gone", "[store][files]") {
  const tests::TemporaryFolder folder;
  { REQUIRE(DataFolder::open(folder.file("a/b/data"), 0)); }
  CHECK(DataFolder::open(folder.file("a/b/data"), 0));
}

TEST_CASE("a folder that cannot be made is an error that names it", "[store][files]") {
  const tests::TemporaryFolder folder;
  write_file(folder.file("occupied"), 1);
  const auto opened = DataFolder::open(folder.file("occupied/data"), 0);
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().message.find(folder.file("occupied")) != std::string::npos);
}

TEST_CASE("a node key is made once and read from then on", "[store][files]") {
  const Home home;
  const auto made = store::load_or_create_node_key(home.data, fresh);
  REQUIRE(made);
  CHECK(made->is_new);
  CHECK(made->seed == fresh);
  CHECK(mode_of(home.data.file("node.key")) == 0600);

  const auto read = store::load_or_create_node_key(home.data, crypto::Secret<32>(crypto::Bytes(32, 6)));
  REQUIRE(read);
  CHECK_FALSE(read->is_new);
  CHECK(read->seed == fresh);
}

TEST_CASE("a node key that cannot be trusted is refused and left as it is", "[store][files]") {
  const Home home;
  const std::string path = home.data.file("node.key");
  SECTION("others may read it") {
    write_file(path, 32, fs::perms::owner_read | fs::perms::others_read);
    CHECK(refusal(home.data) == ErrorCode::denied);
  }
  SECTION("the group may write it") {
    write_file(path, 32, fs::perms::owner_read | fs::perms::group_write);
    CHECK(refusal(home.data) == ErrorCode::denied);
  }
  SECTION("it is a link") {
    write_file(home.folder.file("elsewhere"), 32);
    fs::create_symlink(home.folder.file("elsewhere"), path);
    CHECK(refusal(home.data) == ErrorCode::denied);
  }
  SECTION("it is a pipe") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(refusal(home.data) == ErrorCode::denied);
  }
  SECTION("it is too short") {
    write_file(path, 31);
    CHECK(refusal(home.data) == ErrorCode::invalid);
  }
  SECTION("it is too long") {
    write_file(path, 33);
    CHECK(refusal(home.data) == ErrorCode::invalid);
  }
  CHECK(fs::exists(fs::symlink_status(path)));
}

TEST_CASE("what a crash left of making a key is no key", "[store][files]") {
  const Home home;
  write_file(home.data.file("node.key.tmp"), 10);
  const auto made = store::load_or_create_node_key(home.data, fresh);
  REQUIRE(made);
  CHECK(made->is_new);
  CHECK_FALSE(fs::exists(home.data.file("node.key.tmp")));
}

TEST_CASE("a mesh key is read as it was written last", "[store][files]") {
  const Home home;
  const auto none = store::load_mesh_keys(home.data);
  REQUIRE(none);
  CHECK_FALSE(none->has_value());

  dht::MeshKeys keys{.id = {1}, .secret = crypto::Secret<32>(crypto::Bytes(32, 2)), .data_key = {3}};
  REQUIRE(store::replace_mesh_keys(home.data, keys));
  keys.id = {9};
  REQUIRE(store::replace_mesh_keys(home.data, keys));
  CHECK(mode_of(home.data.file("mesh.key")) == 0600);
  const auto read = store::load_mesh_keys(home.data);
  REQUIRE(read);
  REQUIRE(read->has_value());
  CHECK((*read)->id == keys.id);
  CHECK((*read)->secret == keys.secret);
  CHECK((*read)->data_key == keys.data_key);
}

TEST_CASE("a mesh key with any bit flipped is refused", "[store][files]") {
  const Home home;
  REQUIRE(store::replace_mesh_keys(home.data, {.id = {1}, .secret = {}, .data_key = {3}}));
  const std::string path = home.data.file("mesh.key");
  std::string bytes(96, 0);
  std::ifstream(path, std::ios::binary).read(bytes.data(), 96);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += 3) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    std::ofstream(path, std::ios::binary) << flipped;
    const auto read = store::load_mesh_keys(home.data);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code == ErrorCode::invalid);
  }
}
