// SPDX-License-Identifier: MIT
#include "daemon/announcement.h"

#include <catch2/catch.hpp>

#include "crypto/keys.h"
#include "daemon/candidates.h"

using namespace kith::daemon;
namespace crypto = kith::crypto;
namespace dht = kith::dht;
using namespace std::chrono_literals;

namespace {

dht::MeshKeys mesh(std::uint8_t secret) {
  dht::MeshKeys keys;
  keys.secret.data()[0] = secret;
  return keys;
}

Announcement announcement() {
  const auto keys = crypto::NodeKeys::from_seed(crypto::Secret<32>());
  return {keys.signing_public(), keys.exchange_public(), 5484};
}

const AnnouncementNonce nonce{1, 2, 3, 4, 5, 6, 7, 8};

dht::NodeId node(std::uint8_t number) {
  dht::NodeId id;
  id.bytes[8] = number;
  return id;
}

}  // namespace

TEST_CASE("members recognise an announcement of their mesh", "[discovery]") {
  const auto key = announcement_key(mesh(1));
  const crypto::Bytes bytes = write_announcement(announcement(), nonce, key);
  CHECK(bytes.size() <= 128);
  CHECK(read_announcement(bytes, key) == announcement());
}

TEST_CASE("an announcement of another mesh, or altered in any bit, is nothing", "[discovery]") {
  const auto key = announcement_key(mesh(1));
  const crypto::Bytes bytes = write_announcement(announcement(), nonce, key);
  CHECK_FALSE(read_announcement(bytes, announcement_key(mesh(2))));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    crypto::Bytes altered = bytes;
    altered[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    CHECK_FALSE(read_announcement(altered, key));
  }
}

TEST_CASE("an announcement of another length is nothing", "[discovery]") {
  const auto key = announcement_key(mesh(1));
  crypto::Bytes bytes = write_announcement(announcement(), nonce, key);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(read_announcement(crypto::ByteSpan(bytes).first(size), key));
  }
  bytes.push_back(0);
  CHECK_FALSE(read_announcement(bytes, key));
}

TEST_CASE("two announcements of one node look unrelated to outsiders", "[discovery]") {
  const auto key = announcement_key(mesh(1));
  const crypto::Bytes a = write_announcement(announcement(), nonce, key);
  const crypto::Bytes b = write_announcement(announcement(), {}, key);
  CHECK_FALSE(std::equal(a.begin() + 12, a.begin() + 20, b.begin() + 12));
}

TEST_CASE("a node is tried once in thirty seconds, however often it announces itself", "[discovery]") {
  Candidates candidates;
  const dht::Instant start{1000s};
  CHECK(candidates.should_try(start, node(1)));
  CHECK_FALSE(candidates.should_try(start + 29s, node(1)));
  CHECK(candidates.should_try(start + 30s, node(1)));
}

TEST_CASE("no more than thirty-two nodes are remembered", "[discovery]") {
  Candidates candidates;
  const dht::Instant start{1000s};
  int tried = 0;
  for (std::uint8_t i = 0; i < 200; ++i) tried += candidates.should_try(start, node(i)) ? 1 : 0;
  CHECK(tried == 32);
  CHECK(candidates.should_try(start + 30s, node(201)));
}

TEST_CASE("a flood of announcements is looked at a hundred times a second", "[discovery]") {
  Candidates candidates;
  int looks = 0;
  for (int i = 0; i < 10'000; ++i) looks += candidates.may_look(dht::Instant{1000s} + i * 100us) ? 1 : 0;
  CHECK(looks == 100);
  CHECK(candidates.may_look(dht::Instant{1002s}));
}
