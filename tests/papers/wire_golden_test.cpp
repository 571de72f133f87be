// SPDX-License-Identifier: MIT
// The bytes of every message (docs/wire.md, "Messages"), checked by hand and by another msgpack implementation. They
// may gain messages and fields; a change of what stands here breaks every mesh that runs an older version.
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "dht/wire.h"
#include "tests/support/messages.h"

namespace kith::dht {
namespace {

struct Golden {
  std::string_view name;
  std::string_view bytes;  // in hexadecimal; spaces part header and fields for the eye
};

const std::vector<Golden> golden{
    {"ping", "01 01 0102030405060708 85 a16901 a16802 a176cf1122334455667788 a17300 a16cccff"},
    {"ping reply", "02 01 0102030405060708 85 a169cf8000000000000000 a16802 a17603 a17304 a16c05"},
    {"ping that asks the time", "01 01 0102030405060708 86 a16901 a16802 a17603 a17300 a16c05 a17701"},
    {"ping reply with the time", "02 01 0102030405060708 86 a16901 a16802 a17603 a17304 a16c05 a177cf0000018bcfe56800"},
    {"ping with gossip",
     "01 01 0102030405060708 86 a16901 a16802 a17603 a17304 a16c05 a1679284a16ec42001010101010101010101010"
     "10101010101010101010101010101010101010101a17301a16907a163c402cafe84a16ec4200202020202020202020202020"
     "202020202020202020202020202020202020202a17302a169cd012ca161c4200303030303030303030303030303030303030"
     "303030303030303030303030303"},
    {"probe", "01 0f 0102030405060708 81 a16ec420aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    {"probe reply, heard",
     "02 0f 0102030405060708 82 a16ec420aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa a"
     "161cd05dc"},
    {"probe reply, not heard",
     "02 0f 0102030405060708 81 a16ec420aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    {"gossip",
     "03 02 0000000000000000 81 a1679184a16ec4200101010101010101010101010101010101010101010101010101010101"
     "010101a17301a16907a163c402cafe"},
    {"join", "01 0c 0102030405060708 81 a163c403010203"},
    {"members", "01 10 0102030405060708 81 a161c4200909090909090909090909090909090909090909090909090909090909090909"},
    {"members reply",
     "02 10 0102030405060708 82 a16d9284a16ec4200101010101010101010101010101010101010101010101010101010101"
     "010101a17301a16907a163c402cafe84a16ec420020202020202020202020202020202020202020202020202020202020202"
     "0202a17302a169cd012ca161c4200303030303030303030303030303030303030303030303030303030303030303 a16ec42"
     "00202020202020202020202020202020202020202020202020202020202020202"},
    {"members reply, last page", "02 10 0102030405060708 81 a16d90"},
    {"members, compared",
     "01 10 0102030405060708 82 a161c420c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0 a164c405 02 "
     "01020304"},
    {"members reply, compared",
     "02 10 0102030405060708 84 a16d90 a16ec420bfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbf "
     "a170cd0258 "
     "a164c406 0000 0001 0002"},
    {"members reply, equal", "02 10 0102030405060708 83 a16d90 a170cd0258 a164c400"},
    {"find",
     "01 03 0102030405060708 82 a174c4208080808080808080808080808080808080808080808080808080808080808080 a"
     "1630c"},
    {"find reply", "02 03 0102030405060708 81 a16392c40101c4020202"},
    {"fetch",
     "01 04 0102030405060708 82 a16601 a16b92c420010101010101010101010101010101010101010101010101010101010"
     "1010101c4200202020202020202020202020202020202020202020202020202020202020202"},
    {"fetch reply",
     "02 04 0102030405060708 81 a1619283a17300a164c41001020300000000000000000000000000a17292c402deadc402be"
     "ef82a17301a164c41000000000000000000000000000000000"},
    {"store", "01 05 0102030405060708 82 a17001 a17291c402dead"},
    {"hint",
     "01 05 0102030405060708 83 a17000 a17291c402dead a168c420030303030303030303030303030303030303030303030"
     "3030303030303030303"},
    {"store reply",
     "02 05 0102030405060708 81 a1619382a17300a176c4200000000000000001000000000000000200000100000000000004"
     "00000000000081a1730182a17302a16507"},
    {"scan",
     "01 11 0102030405060708 83 a170c40964656661756c742f61 a161c420040404040404040404040404040404040404040"
     "4040404040404040404040404 a163cd03e8"},
    {"scan reply",
     "02 11 0102030405060708 82 a16b92c40964656661756c742f61c40a64656661756c742f00ff a16ec4200505050505050"
     "505050505050505050505050505050505050505050505050505"},
    {"compare",
     "01 08 0102030405060708 82 a173ce01020304 a16ec42e 00ffabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdab"
     "cdabcdabcd 031230020001 0002 04123400"},
    {"compare reply",
     "02 08 0102030405060708 82 a16ec403 0212fe a164c430 041234 020005 01 1234567890abcdef 02 0000000000000001 "
     "0000000000000002 0000000000000003 0000000000000004"},
    {"compare reply, nothing differs", "02 08 0102030405060708 80"},
    {"compare reply, records", "02 08 0102030405060708 81 a17291c402dead"},
    {"items", "01 09 0102030405060708 81 a16bc410 0000000000000001 1234567890abcdef"},
    {"items reply", "02 09 0102030405060708 81 a17291c402dead"},
    {"reap ask",
     "01 12 0102030405060708 82 a17300 a170c423 1234 0000000000000007 01 1234567890abcdef 0102000000000000000000"
     "0000000000"},
    {"reap retire", "01 12 0102030405060708 82 a17301 a17291c402dead"},
    {"reap reply", "02 12 0102030405060708 82 a176c402 0100 a16bc408 1234567890abcdef"},
    {"reaped", "01 13 0102030405060708 80"},
    {"reaped reply", "02 13 0102030405060708 81 a16dc412 1234 0000000000000005 0000000000000006"},
    {"unsupported", "02 00 0102030405060708 80"},
};

std::string without_spaces(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ') result.push_back(c);
  }
  return result;
}

}  // namespace

TEST_CASE("every message has the bytes it had in the first release", "[wire][papers]") {
  const auto samples = tests::sample_messages();
  REQUIRE(samples.size() == golden.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    INFO(samples[i].name);
    CHECK(samples[i].name == golden[i].name);
    CHECK(crypto::to_hex(write_message(samples[i].message)) == without_spaces(golden[i].bytes));
  }
}

TEST_CASE("the bytes of the first release are read as the messages they were", "[wire][papers]") {
  for (const auto& [name, text] : golden) {
    const auto bytes = crypto::from_hex(without_spaces(text)).value();
    const auto result = read_message(bytes);
    INFO(name);
    REQUIRE(std::holds_alternative<Message>(result));
    CHECK(write_message(std::get<Message>(result)) == bytes);
  }
}

}  // namespace kith::dht
