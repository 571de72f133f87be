// SPDX-License-Identifier: MIT
// Many keys through one connection: requests of up to a few hundred keys, two of them in flight, each key answered as
// soon as it is known.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/client.h"
#include "cli/command.h"

namespace kith::cli {

struct Item {
  std::string key;
  crypto::Bytes value;
  std::optional<std::int64_t> by = {};       // instead of a value: counts
  std::optional<std::uint64_t> ttl_ms = {};  // 0: for ever
  crypto::ByteArray<16> op_id{};
  bool is_manifest = false;
  std::uint64_t line = 0;  // where it stood in the input
  int tries = 0;
};

// Writes items as they are added; what failed for want of time is tried twice more.
class BatchWriter {
 public:
  // `on_answer(item, answer)`: a receipt, or a map with `error` when it failed for good.
  using OnAnswer = std::function<void(const Item&, const daemon::RpcValue&)>;
  BatchWriter(Client& client, WriteTerms terms, OnAnswer on_answer);

  void add(Item item);
  void finish();  // sends what is left and waits for every answer

 private:
  void enqueue(Item item);
  void send();
  void take_one_message();
  void take_item(const daemon::RpcValue& answer);

  Client& client_;
  crypto::ByteArray<16> last_id_{};  // drawn, and then counted on
  WriteTerms terms_;
  OnAnswer on_answer_;
  std::deque<Item> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::unordered_map<std::uint64_t, std::vector<Item>> in_flight_;
};

// Reads keys in the same manner; `on_answer(index, answer)` in the order in which the answers come.
using OnKey = std::function<void(std::size_t, const daemon::RpcValue&)>;
void read_keys(Client& client, const std::vector<std::string>& keys, const ReadTerms& terms, const OnKey& on_answer);

}  // namespace kith::cli
