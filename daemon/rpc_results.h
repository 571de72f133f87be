// SPDX-License-Identifier: MIT
// From what the core answers to the fields of a result (docs/socket.md). Each write_…_fields() appends as many pairs
// as it is said there, into a map that the caller opened: an item of a batch has the same fields and a few more.
#pragma once

#include "daemon/rpc_codec.h"
#include "daemon/rpc_params.h"
#include "dht/cache/hot_key.h"
#include "dht/model/outputs.h"
#include "dht/node.h"
#include "dht/replication/policies.h"

namespace kith::daemon {

inline std::size_t receipt_fields(const dht::Receipt& receipt) {
  return 8 + (receipt.counter ? 1 : 0) + (receipt.revision > 0 ? 1 : 0) + (receipt.in_memory > 0 ? 1 : 0);
}
void write_receipt_fields(RpcWriter& writer, const dht::Receipt& receipt);

inline std::size_t read_fields(const dht::ReadAnswer& answer) {
  return 8U + (answer.revision > 0 ? 1 : 0) + (answer.age ? 1 : 0);
}
void write_read_fields(RpcWriter& writer, const dht::ReadAnswer& answer, Shown shown);

// `bytes` of the mesh, as this device estimates them; told where there is a quota.
void write_policy(RpcWriter& writer, std::string_view name, const dht::Policy& policy,
                  std::optional<std::uint64_t> bytes);
void write_hot_keys(RpcWriter& writer, const std::vector<dht::HotKey>& keys);
void write_policies(RpcWriter& writer, const dht::Node& node);

void write_scan(RpcWriter& writer, const dht::ScanAnswer& answer);
void write_chunks(RpcWriter& writer, const dht::ChunksAnswer& answer);

// The error map. `so_far` is what a write reached all the same, where it tells the client more than the code does.
void write_error(RpcWriter& writer, const dht::Error& error, const dht::Receipt* so_far = nullptr);

// Whether a reader who is shown this much finds a value: the newest entry unless it marks a delete, or any of all.
bool is_found(const dht::ReadAnswer& answer, Shown shown);

double milliseconds(dht::Duration duration);

}  // namespace kith::daemon
