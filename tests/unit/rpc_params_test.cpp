// SPDX-License-Identifier: MIT
#include "daemon/rpc_params.h"

#include <functional>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "dht/model/manifest.h"

using namespace kith::daemon;
namespace crypto = kith::crypto;
namespace dht = kith::dht;

namespace {

// Params as they arrive: written, then read from the bytes.
class Given {
 public:
  explicit Given(const std::function<void(RpcWriter&)>& write) {
    RpcWriter writer(bytes_);
    write(writer.request(1, "m"));
    REQUIRE(reader_.read(bytes_) == RpcRead::message);
  }
  RpcValue params() const { return reader_.message().params; }

 private:
  crypto::Bytes bytes_;
  RpcReader reader_{RpcLimits{}};
};

const crypto::Bytes sixteen(16, 7);

template <typename Call>
std::string error_of(const dht::Result<Call>& call) {
  return call ? "" : call.error().message;
}

}  // namespace

TEST_CASE("a put reads every param", "[rpc]") {
  const Given given([](RpcWriter& w) {
    w.map(9).text("key").text("k").text("value").bytes(crypto::as_bytes("v")).text("ttl_ms").number(5);
    w.text("version").bytes(crypto::as_bytes("t")).text("op_id").bytes(sixteen).text("wait").text("all");
    w.text("w").number(2).text("strict").boolean(true).text("timeout_ms").number(250);
  });
  const auto put = read_put(given.params());
  REQUIRE(put);
  CHECK(put->key == "k");
  CHECK(put->value == crypto::Bytes{'v'});
  CHECK(put->ttl_ms == 5);
  CHECK(put->token == crypto::Bytes{'t'});
  CHECK(put->op_id.has_value());
  CHECK(put->wait == dht::Wait::all);
  CHECK(put->w == 2);
  CHECK(put->strictness == dht::Strictness::strict);
  CHECK(put->deadline == std::chrono::milliseconds(250));
}

TEST_CASE("a value is written as a manifest where it has that form, and is refused where not", "[rpc]") {
  const crypto::Bytes manifest = dht::encode(dht::Manifest{.form = {.bytes = 0, .chunk_bytes = 1024}, .hashes = {}});
  const auto put = [](const crypto::Bytes& value) {
    const Given given([&](RpcWriter& w) {
      w.map(3).text("key").text("k").text("value").bytes(value).text("manifest").boolean(true);
    });
    return read_put(given.params());
  };
  REQUIRE(put(manifest));
  CHECK(put(manifest)->kind == dht::EntryKind::manifest);
  CHECK(error_of(put(sixteen)) == "value is no manifest of a blob (docs/data-model.md)");
}

TEST_CASE("chunks are sought by hashes of 32 bytes, and so many at once", "[rpc]") {
  const auto chunks = [](std::size_t count, std::size_t bytes) {
    const Given given([&](RpcWriter& w) {
      w.map(2).text("hashes").array(count);
      for (std::size_t i = 0; i < count; ++i) w.bytes(crypto::Bytes(bytes, 9));
      w.text("since_ms").number(5);
    });
    return read_chunks(given.params());
  };
  const auto one = chunks(1, 32);
  REQUIRE(one);
  CHECK(one->hashes.at(0)[31] == 9);
  CHECK(one->since_ms == 5);
  CHECK(error_of(chunks(1, 31)) == "hashes must be of 32 bytes each");
  CHECK(chunks(dht::limits::chunks_sought_max, 32));
  CHECK(error_of(chunks(dht::limits::chunks_sought_max + 1, 32)) == "257 hashes; the limit chunks_sought_max is 256");
}

TEST_CASE("a del writes a tombstone and takes no value", "[rpc]") {
  const Given given([](RpcWriter& w) { w.map(1).text("key").text("k"); });
  CHECK(read_del(given.params())->kind == dht::EntryKind::tombstone);
  const Given with_value([](RpcWriter& w) { w.map(2).text("key").text("k").text("value").text("v"); });
  CHECK(error_of(read_del(with_value.params())) == "value is not a param of this method (docs/socket.md)");
}

TEST_CASE("a missing, mistyped, unknown or repeated param is named", "[rpc]") {
  CHECK(error_of(read_put(Given([](RpcWriter& w) { w.map(1).text("key").text("k"); }).params())) == "value is missing");
  CHECK(error_of(read_get(Given([](RpcWriter& w) { w.map(0); }).params())) == "key is missing");
  CHECK(error_of(read_get(Given([](RpcWriter& w) { w.map(1).text("key").number(5); }).params())) ==
        "key must be a string or bytes");
  CHECK(error_of(read_get(Given([](RpcWriter& w) { w.map(2).text("key").text("k").text("R").number(1); }).params())) ==
        "R is not a param of this method (docs/socket.md)");
  CHECK(error_of(read_get(Given([](RpcWriter& w) {
                            w.map(2).text("key").text("k").text("key").text("j");
                          }).params())) == "a param is given twice");
  CHECK(error_of(read_get(Given([](RpcWriter& w) { w.array(1).text("k"); }).params())) == "params must be a map");
}

TEST_CASE("nothing is coerced", "[rpc]") {
  const auto read_with = [](const std::function<void(RpcWriter&)>& more) {
    const Given given([&](RpcWriter& w) { more(w.map(2).text("key").text("k")); });
    return error_of(read_get(given.params()));
  };
  CHECK(read_with([](RpcWriter& w) { w.text("r").text("2"); }) == "r must be an unsigned integer");
  CHECK(read_with([](RpcWriter& w) { w.text("r").real(2); }) == "r must be an unsigned integer");
  CHECK(read_with([](RpcWriter& w) { w.text("r").number(0); }) == "r must be from 1 to 16");
  CHECK(read_with([](RpcWriter& w) { w.text("all").number(1); }) == "all must be true or false");
  CHECK(read_with([](RpcWriter& w) { w.text("timeout_ms").number(60001); }) == "timeout_ms must be from 1 to 60000");
  CHECK(read_with([](RpcWriter& w) { w.text("timeout_ms").nil(); }).empty());
}

TEST_CASE("an operation id has sixteen bytes", "[rpc]") {
  const Given given([](RpcWriter& w) {
    w.map(3).text("key").text("k").text("value").text("v").text("op_id").bytes(crypto::as_bytes("short"));
  });
  CHECK(error_of(read_put(given.params())) == "op_id must be 16 bytes");
}

TEST_CASE("an incr counts one up unless told otherwise, or resets", "[rpc]") {
  const Given plain([](RpcWriter& w) { w.map(1).text("key").text("k"); });
  CHECK(read_incr(plain.params())->kind == dht::EntryKind::counter);
  CHECK(read_incr(plain.params())->by == 1);
  const Given down([](RpcWriter& w) {
    w.map(4).text("key").text("k").text("by").integer(-3).text("ttl_ms").number(9).text("op_id").bytes(sixteen);
  });
  CHECK(read_incr(down.params())->by == -3);
  CHECK(read_incr(down.params())->ttl_ms == 9);
  CHECK(read_incr(down.params())->op_id.has_value());
  const Given reset([](RpcWriter& w) { w.map(2).text("key").text("k").text("reset").boolean(true); });
  CHECK(read_incr(reset.params())->kind == dht::EntryKind::counter_reset);
}

TEST_CASE("an incr that is no integer, or both counts and resets, is refused", "[rpc]") {
  const Given real([](RpcWriter& w) { w.map(2).text("key").text("k").text("by").real(1.5); });
  CHECK(error_of(read_incr(real.params())) == "by must be an integer");
  const Given large([](RpcWriter& w) { w.map(2).text("key").text("k").text("by").number(UINT64_MAX); });
  CHECK(error_of(read_incr(large.params())) == "by must be an integer");
  const Given both(
      [](RpcWriter& w) { w.map(3).text("key").text("k").text("by").integer(2).text("reset").boolean(true); });
  CHECK(error_of(read_incr(both.params())) == "by and reset exclude each other: a reset sets the counter to 0");
  const Given version([](RpcWriter& w) { w.map(2).text("key").text("k").text("version").bytes(sixteen); });
  CHECK(error_of(read_incr(version.params())) == "version is not a param of this method (docs/socket.md)");
}

TEST_CASE("a policy's change names what it changes, and nothing else", "[rpc]") {
  const Given given([](RpcWriter& w) {
    w.map(5).text("namespace").text("carts").text("create").boolean(true).text("conflict").text("siblings");
    w.text("r").number(0).text("ttl_ms").number(0);
  });
  const auto request = read_ns_set(given.params());
  REQUIRE(request);
  CHECK(request->name == "carts");
  CHECK(request->must_be_new);
  CHECK(request->conflict == dht::Conflict::siblings);
  CHECK(request->r == 0);
  CHECK_FALSE(request->w);
  CHECK(request->ttl_ms == 0);
}

TEST_CASE("a policy of an unknown kind, or of more copies than there may be, is refused", "[rpc]") {
  const Given kind([](RpcWriter& w) { w.map(2).text("namespace").text("a").text("conflict").text("oldest"); });
  CHECK(error_of(read_ns_set(kind.params())) == "conflict must be \"newest\", \"siblings\" or \"strong\"");
  const Given copies([](RpcWriter& w) { w.map(2).text("namespace").text("a").text("w").number(17); });
  CHECK(error_of(read_ns_set(copies.params())) == "w must be from 0 to 16");
}

TEST_CASE("a condition is asked for by being there: an empty version is none, and not no condition", "[rpc]") {
  const auto with_version = [](std::string_view field, crypto::Bytes version) {
    return Given(
        [=](RpcWriter& w) { w.map(3).text("key").text("a").text("value").text("b").text(field).bytes(version); });
  };
  const Given empty = with_version("if_version", {});
  CHECK(error_of(read_put(empty.params())) == "if_version must be bytes, and not empty");
  const Given given = with_version("if_version", {1});
  const auto conditional = read_put(given.params());
  REQUIRE(conditional);
  CHECK(conditional->condition == dht::Condition::version);
  CHECK(conditional->token == crypto::Bytes{1});
  const Given both([](RpcWriter& w) {
    w.map(4).text("key").text("a").text("value").text("b").text("if_absent").boolean(true);
    w.text("if_version").bytes(crypto::Bytes{1});
  });
  CHECK(error_of(read_put(both.params())) == "version, if_version and if_absent exclude each other");
}

TEST_CASE("an item of a batch may count", "[rpc]") {
  const Given given(
      [](RpcWriter& w) { w.map(1).text("items").array(1).map(2).text("key").text("a").text("incr").integer(-4); });
  const auto call = read_mput(given.params());
  REQUIRE(call);
  CHECK(call->items[0].kind == dht::EntryKind::counter);
  CHECK(call->items[0].by == -4);
}

TEST_CASE("a batch takes its terms for all items and names the item that is wrong", "[rpc]") {
  const Given good([](RpcWriter& w) {
    w.map(2).text("items").array(2);
    w.map(2).text("key").text("a").text("value").text("1");
    w.map(3).text("key").text("b").text("value").text("2").text("ttl_ms").number(9);
    w.text("wait").text("one");
  });
  const auto call = read_mput(good.params());
  REQUIRE(call);
  REQUIRE(call->items.size() == 2);
  CHECK(call->items[0].wait == dht::Wait::one);
  CHECK(call->items[1].ttl_ms == 9);

  const Given bad([](RpcWriter& w) {
    w.map(1).text("items").array(2);
    w.map(2).text("key").text("a").text("value").text("1");
    w.map(1).text("key").text("b");
  });
  CHECK(error_of(read_mput(bad.params())) == "item 1: value is missing");
}

TEST_CASE("a batch has at most a thousand keys", "[rpc]") {
  const auto keys = [](std::size_t count) {
    return Given([&](RpcWriter& w) {
      w.map(1).text("keys").array(count);
      for (std::size_t i = 0; i < count; ++i) w.text("k");
    });
  };
  CHECK(read_mget(keys(1000).params())->keys.size() == 1000);
  const auto call = read_mget(keys(1001).params());
  REQUIRE_FALSE(call);
  CHECK(call.error().code == dht::ErrorCode::too_large);
}

TEST_CASE("a scan's cursor is a hash", "[rpc]") {
  const crypto::Bytes hash(32, 3);
  const Given given([&](RpcWriter& w) { w.map(2).text("after").bytes(hash).text("count").number(10); });
  const auto scan = read_scan(given.params());
  REQUIRE(scan);
  CHECK(scan->after->bytes[31] == 3);
  CHECK(scan->count == 10);
  const Given bad([&](RpcWriter& w) { w.map(1).text("after").bytes(sixteen); });
  CHECK(error_of(read_scan(bad.params())) == "after must be 32 bytes");
}

TEST_CASE("methods without params take an empty map or nil", "[rpc]") {
  CHECK(read_nothing(Given([](RpcWriter& w) { w.map(0); }).params()));
  CHECK(read_nothing(Given([](RpcWriter& w) { w.nil(); }).params()));
  CHECK_FALSE(read_nothing(Given([](RpcWriter& w) { w.map(1).text("x").number(1); }).params()));
}
