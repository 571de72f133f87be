// SPDX-License-Identifier: MIT
#include "crypto/secret.h"

#include <memory>
#include <new>

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace kith::tests {
namespace {

using namespace kith::crypto;

using Key = Secret<32>;

// A secret whose memory can still be looked at when it is gone.
class Remains {
 public:
  Remains() : secret_(new (memory_.data()) Key(counting<32>())) {}
  Key& secret() { return *secret_; }
  void destroy() { std::destroy_at(secret_); }
  bool are_zero() const { return memory_ == ByteArray<sizeof(Key)>{}; }

 private:
  alignas(Key) ByteArray<sizeof(Key)> memory_{};
  Key* secret_;
};

}  // namespace

TEST_CASE("a secret leaves nothing in memory when it dies", "[secret]") {
  Remains remains;
  REQUIRE_FALSE(remains.are_zero());
  remains.destroy();
  CHECK(remains.are_zero());
}

TEST_CASE("a secret leaves nothing behind when it is moved", "[secret]") {
  Remains constructed_from;
  const Key constructed(std::move(constructed_from.secret()));
  CHECK(constructed_from.are_zero());
  CHECK(constructed == Key(counting<32>()));

  Remains assigned_from;
  Key assigned;
  assigned = std::move(assigned_from.secret());
  CHECK(assigned_from.are_zero());
  CHECK(assigned == Key(counting<32>()));
}

TEST_CASE("a secret moved to itself stays what it is", "[secret]") {
  Key key(counting<32>());
  auto& same = key;
  key = std::move(same);
  CHECK(key == Key(counting<32>()));
}

TEST_CASE("copies of a secret are equal and live on their own", "[secret]") {
  Key key(counting<32>());
  const Key copy = key;  // NOLINT(performance-unnecessary-copy-initialization): the copy is what is tested
  key.wipe_now();
  CHECK(key == Key());
  CHECK(copy == Key(counting<32>()));
}

}  // namespace kith::tests
