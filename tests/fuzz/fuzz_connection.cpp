// SPDX-License-Identifier: MIT
//
// Streams to a whole node: a stranger's bytes on several connections, and what a member of its mesh puts into sealed
// frames; with time passing and connections ending between.
#include "tests/fuzz/host_under_test.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kith;
  tests::FuzzInput input({data, size});
  tests::HostUnderTest node;
  while (!input.is_empty()) {
    const auto what = input.byte();
    const dht::StreamId stream = 1 + 2 * (what >> 5U);
    switch (what % 8) {
      case 0:
        node.accept(stream);
        break;
      case 1:
      case 2:
        node.receive_on(stream, input.chunk());
        break;
      case 3:
        node.close(stream);
        break;
      case 4:
        node.pass(std::chrono::milliseconds(1) * (1U << (what >> 4U)));
        break;
      default:
        node.receive_sealed_on_stream(input.chunk());
        break;
    }
  }
  return 0;
}
