// SPDX-License-Identifier: MIT
//
// Any bytes as the decrypted payload of a datagram or stream: read without fault, and what is read can be written
// and read again.
#include <cstdlib>

#include "dht/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kith::dht;
  const auto first = read_message({data, size});
  const auto* message = std::get_if<Message>(&first);
  if (message == nullptr) return 0;
  const auto bytes = write_message(*message);
  const auto second = read_message(bytes);
  const auto* again = std::get_if<Message>(&second);
  if (again == nullptr || write_message(*again) != bytes) std::abort();
  for (const auto& payload : write_for_datagrams(*message)) {
    if (!std::holds_alternative<Message>(read_message(payload))) std::abort();
  }
  return 0;
}
