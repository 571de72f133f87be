// SPDX-License-Identifier: MIT
#include "daemon/rpc_codec.h"

#include <catch2/catch.hpp>

using namespace kith::daemon;
using kith::crypto::as_bytes;
using kith::crypto::Bytes;
using kith::crypto::ByteSpan;

namespace {

Bytes put_request() {
  Bytes bytes;
  RpcWriter(bytes).request(7, "put").map(2).text("key").text("greeting").text("value").bytes(as_bytes("hello"));
  return bytes;
}

RpcRead read(const Bytes& bytes, RpcLimits limits = {}) { return RpcReader(limits).read(bytes); }

}  // namespace

TEST_CASE("a request that is written is read again", "[rpc]") {
  const Bytes bytes = put_request();
  RpcReader reader(RpcLimits{});
  REQUIRE(reader.read(bytes) == RpcRead::message);
  CHECK(reader.consumed() == bytes.size());
  CHECK(reader.message().kind == RpcKind::request);
  CHECK(reader.message().id == 7);
  CHECK(reader.message().method == "put");
  CHECK(reader.message().params["key"].text() == "greeting");
  CHECK(reader.message().params["value"].bytes()->size() == 5);
  CHECK(reader.message().params["nothing"].is_nil());
}

TEST_CASE("requests have the bytes of the MessagePack-RPC specification", "[rpc]") {
  Bytes bytes;
  RpcWriter(bytes).request(1, "get").map(1).text("key").text("a");
  const Bytes expected{0x94, 0x00, 0x01, 0xA3, 'g', 'e', 't', 0x81, 0xA3, 'k', 'e', 'y', 0xA1, 'a'};
  CHECK(bytes == expected);
}

TEST_CASE("every value type is written and read as itself", "[rpc]") {
  Bytes bytes;
  RpcWriter(bytes)
      .response(1)
      .nil()
      .array(7)
      .nil()
      .boolean(true)
      .number(UINT64_MAX)
      .integer(-5)
      .real(0.5)
      .text("t")
      .array(0);
  RpcReader reader(RpcLimits{});
  REQUIRE(reader.read(bytes) == RpcRead::message);
  std::vector<RpcValue> values;
  reader.message().result.for_each([&](const RpcValue& value) { values.push_back(value); });
  REQUIRE(values.size() == 7);
  CHECK(values[0].is_nil());
  CHECK(values[1].boolean() == true);
  CHECK(values[2].number() == UINT64_MAX);
  CHECK_FALSE(values[2].integer().has_value());
  CHECK(values[3].integer() == -5);
  CHECK_FALSE(values[3].number().has_value());
  CHECK(values[4].real() == 0.5);
  CHECK(values[5].text() == "t");
  CHECK_FALSE(values[5].bytes().has_value());
  CHECK(values[6].size() == 0);
}

TEST_CASE("a whole number that is real stays real", "[rpc]") {
  Bytes bytes;
  RpcWriter(bytes).response(1).nil().real(2);
  RpcReader reader(RpcLimits{});
  REQUIRE(reader.read(bytes) == RpcRead::message);
  CHECK(reader.message().result.real() == 2.0);
}

TEST_CASE("a response and a notification are told apart", "[rpc]") {
  Bytes bytes;
  RpcWriter(bytes).response(9).map(1).text("code").text("denied").nil();
  RpcWriter(bytes).notification("item").map(0);
  RpcReader reader(RpcLimits{});
  REQUIRE(reader.read(bytes) == RpcRead::message);
  CHECK(reader.message().kind == RpcKind::response);
  CHECK(reader.message().error["code"].text() == "denied");
  REQUIRE(reader.read(ByteSpan(bytes).subspan(reader.consumed())) == RpcRead::message);
  CHECK(reader.message().kind == RpcKind::notification);
  CHECK(reader.message().method == "item");
}

TEST_CASE("every beginning of a message is incomplete", "[rpc]") {
  const Bytes bytes = put_request();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(read(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))) == RpcRead::incomplete);
  }
}

TEST_CASE("what is no message of the three kinds is malformed", "[rpc]") {
  CHECK(read({0xC1}) == RpcRead::malformed);                                 // never used
  CHECK(read({0x05}) == RpcRead::malformed);                                 // a number
  CHECK(read({0x90}) == RpcRead::malformed);                                 // an empty list
  CHECK(read({0x80}) == RpcRead::malformed);                                 // a map
  CHECK(read({0x94, 0x03, 0x01, 0xC0, 0xC0}) == RpcRead::malformed);         // kind 3
  CHECK(read({0x93, 0x00, 0x01, 0xC0}) == RpcRead::malformed);               // a request of three
  CHECK(read({0x94, 0x00, 0x01, 0x01, 0x80}) == RpcRead::malformed);         // a method that is a number
  CHECK(read({0x94, 0x00, 0xFF, 0xA1, 'g', 0x80}) == RpcRead::malformed);    // a negative id
  CHECK(read({0x93, 0x02, 0xA1, 'x', 0xD4, 1, 2}) == RpcRead::malformed);    // an extension type
  CHECK(read({'G', 'E', 'T', ' ', '/', '\r', '\n'}) == RpcRead::malformed);  // a web browser
}

TEST_CASE("an id above 32 bits is malformed", "[rpc]") {
  Bytes bytes;
  RpcWriter(bytes).array(4).number(0).number(std::uint64_t{1} << 32U).text("get").map(0);
  CHECK(read(bytes) == RpcRead::malformed);
}

TEST_CASE("a count beyond the limit is refused before its elements are there", "[rpc]") {
  CHECK(read({0x94, 0x00, 0x01, 0xA1, 'm', 0xDD, 0xFF, 0, 0, 0}) == RpcRead::too_large);
}

TEST_CASE("nesting beyond the limit is refused", "[rpc]") { CHECK(read(Bytes(100000, 0x91)) == RpcRead::too_large); }

TEST_CASE("elements beyond the limit are refused however they are nested", "[rpc]") {
  Bytes bytes;
  RpcWriter writer(bytes);
  writer.request(1, "m").array(100);
  for (int i = 0; i < 100; ++i) {
    writer.array(100);
    for (int j = 0; j < 100; ++j) writer.nil();
  }
  CHECK(read(bytes, {.elements = 5000}) == RpcRead::too_large);
  CHECK(read(bytes, {.elements = 20000}) == RpcRead::message);
}

TEST_CASE("a message may have exactly as many bytes as the limit", "[rpc]") {
  const Bytes bytes = put_request();
  CHECK(read(bytes, {.message_bytes = bytes.size()}) == RpcRead::message);
  CHECK(read(bytes, {.message_bytes = bytes.size() - 1}) == RpcRead::too_large);
}

TEST_CASE("a declared length beyond the limit is refused once that many bytes are there", "[rpc]") {
  Bytes bytes{0x94, 0x00, 0x01, 0xC6, 0x7F, 0xFF, 0xFF, 0xFF};
  CHECK(read(bytes, {.message_bytes = 1000}) == RpcRead::incomplete);
  bytes.resize(1001);
  CHECK(read(bytes, {.message_bytes = 1000}) == RpcRead::too_large);
}

TEST_CASE("a name is text where it is UTF-8 and bytes where it is not", "[rpc]") {
  Bytes bytes;
  RpcWriter(bytes).response(1).nil().array(2).name("käse").name("\xFF\xFE");
  RpcReader reader(RpcLimits{});
  REQUIRE(reader.read(bytes) == RpcRead::message);
  std::vector<RpcToken::Kind> kinds;
  reader.message().result.for_each([&](const RpcValue& value) { kinds.push_back(value.kind()); });
  CHECK(kinds == std::vector{RpcToken::Kind::text, RpcToken::Kind::bytes});
}

TEST_CASE("UTF-8 is what RFC 3629 says", "[rpc]") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("\xED\x9F\xBF"));
  CHECK(is_utf8("\xF4\x8F\xBF\xBF"));
  CHECK_FALSE(is_utf8("\xC0\x80"));          // overlong
  CHECK_FALSE(is_utf8("\xE0\x80\x80"));      // overlong
  CHECK_FALSE(is_utf8("\xED\xA0\x80"));      // a surrogate
  CHECK_FALSE(is_utf8("\xF4\x90\x80\x80"));  // above U+10FFFF
  CHECK_FALSE(is_utf8("\xE2\x82"));          // cut
  CHECK_FALSE(is_utf8("\x80"));
}
