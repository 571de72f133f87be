// SPDX-License-Identifier: MIT
#include "dht/commit_gate.h"

#include <catch2/catch.hpp>

namespace kith::dht {
namespace {

Send send(std::uint64_t id, Release release) {
  return {.to = {}, .message = {.request_id = id, .body = Ping{}, .gossip = {}}, .release = release};
}

Outputs outputs_with(std::vector<Send> sends) {
  Outputs outputs;
  outputs.sends = std::move(sends);
  return outputs;
}

std::vector<std::uint64_t> ids(const Outputs& outputs) {
  std::vector<std::uint64_t> result;
  for (const auto& each : outputs.sends) result.push_back(each.message.request_id);
  return result;
}

std::vector<std::uint64_t> released(CommitGate& gate) {
  Outputs outputs;
  gate.release(outputs);
  for (const auto& each : outputs.sends) CHECK(each.release == Release::at_once);
  return ids(outputs);
}

using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("what may leave at once passes the gate in its order", "[commit_gate]") {
  CommitGate gate;
  auto outputs = outputs_with({send(1, Release::at_once), send(2, Release::after_commit), send(3, Release::at_once)});
  gate.take(outputs);
  CHECK(ids(outputs) == Ids{1, 3});
  CHECK(released(gate).empty());
}

TEST_CASE("what waits for a commit leaves with that commit and not before", "[commit_gate]") {
  CommitGate gate;
  auto first = outputs_with({send(1, Release::after_commit)});
  gate.take(first);
  gate.end_turn(5);
  auto second = outputs_with({send(2, Release::after_commit)});
  gate.take(second);
  gate.end_turn(6);
  gate.committed(4);
  CHECK(released(gate).empty());
  gate.committed(5);
  CHECK(released(gate) == Ids{1});
  gate.committed(6);
  CHECK(released(gate) == Ids{2});
}

TEST_CASE("a later commit releases all that waited before it, in order", "[commit_gate]") {
  CommitGate gate;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    auto outputs = outputs_with({send(i, Release::after_commit)});
    gate.take(outputs);
    gate.end_turn(i);
  }
  gate.committed(3);
  CHECK(released(gate) == Ids{1, 2, 3});
}

TEST_CASE("an output of a turn that has not ended waits for no commit of an earlier turn", "[commit_gate]") {
  CommitGate gate;
  auto outputs = outputs_with({send(1, Release::after_commit)});
  gate.take(outputs);
  gate.committed(7);
  CHECK_FALSE(gate.is_open());
  CHECK(released(gate).empty());
  gate.end_turn(8);
  CHECK_FALSE(gate.is_open());
  gate.committed(8);
  CHECK(released(gate) == Ids{1});
}

TEST_CASE("a turn that wrote nothing waits for no commit that is already durable", "[commit_gate]") {
  CommitGate gate;
  gate.committed(7);
  auto outputs = outputs_with({send(1, Release::after_commit)});
  gate.take(outputs);
  gate.end_turn(7);
  CHECK(gate.is_open());
  CHECK(released(gate) == Ids{1});
}

}  // namespace kith::dht
