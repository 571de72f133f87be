// SPDX-License-Identifier: MIT
// The control socket's reader: whatever bytes a client sends, it consumes them, asks for more or refuses them.
#include <cstdlib>

#include "daemon/rpc_codec.h"

namespace {

using namespace kith::daemon;

std::size_t walk(const RpcValue& value) {
  std::size_t seen = 1;
  value.for_each([&](const RpcValue& element) { seen += walk(element); });
  value.for_each_pair([&](const RpcValue& key, const RpcValue& element) { seen += walk(key) + walk(element); });
  if (const auto text = value.text()) seen += is_utf8(*text) ? 1 : 0;
  if (const auto bytes = value.bytes()) {
    for (const std::uint8_t byte : *bytes) seen += byte;
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  RpcReader reader({.message_bytes = 65536, .elements = 1024, .depth = 8});
  kith::crypto::ByteSpan rest(data, size);
  while (reader.read(rest) == RpcRead::message) {
    if (reader.consumed() == 0 || reader.consumed() > rest.size()) std::abort();
    walk(reader.message().params);
    walk(reader.message().error);
    walk(reader.message().result);
    rest = rest.subspan(reader.consumed());
  }
  return 0;
}
