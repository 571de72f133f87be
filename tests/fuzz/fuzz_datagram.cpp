// SPDX-License-Identifier: MIT
//
// A sequence of datagrams to a whole node: as they are, from many places so that no limit by source swallows them;
// or as plaintexts that a member of its mesh has sealed; with time passing between.
#include "tests/fuzz/host_under_test.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kith;
  tests::FuzzInput input({data, size});
  tests::HostUnderTest node;
  while (!input.is_empty()) {
    const auto what = input.byte();
    switch (what % 4) {
      case 0:
        node.receive(tests::HostUnderTest::place(what), input.chunk());
        break;
      case 1:
      case 2:
        node.receive_sealed(input.chunk());
        break;
      default:
        node.pass(std::chrono::milliseconds(1) * (1U << (what >> 4U)));
        break;
    }
  }
  return 0;
}
