// SPDX-License-Identifier: MIT
// From the params of a request to what the core is asked (docs/socket.md). A param that is missing, unknown, of a
// wrong type or out of range is an error that names it; nothing is coerced or ignored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/rpc_codec.h"
#include "dht/model/requests.h"
#include "dht/model/result.h"

namespace kith::daemon {

// In the order of dht::Conflict.
inline constexpr std::array<std::string_view, 2> cache_words{"around", "through"};
inline constexpr std::array<std::string_view, 2> durability_words{"full", "write-back"};
inline constexpr std::array<std::string_view, 3> conflict_words{"newest", "siblings", "strong"};

// What of a read a client is shown.
enum class Shown : std::uint8_t { newest, all };

struct GetCall {
  dht::GetRequest request;
  Shown shown = Shown::newest;
};
struct MgetCall {
  std::vector<std::string> keys;
  GetCall terms;  // key: empty
};
struct MputCall {
  std::vector<dht::PutRequest> items;
};
struct WatchCall {
  dht::WatchRequest request;
  Shown shown = Shown::newest;
};
struct RestoreCall {
  std::string file;
  std::int64_t after = 0;  // a place that an earlier restore of this file told
  std::string mesh = {};   // of this node, as people see it
};

struct RepairCall {
  bool is_now = false;    // compare with everybody at once
  dht::Duration wait{0};  // for all to be equal
};

struct LeaveCall {
  bool is_cancel = false;
  dht::Duration wait{0};  // for it to be over
};

struct JoinCall {
  std::string invite;
  dht::Duration deadline = std::chrono::seconds(10);
};

dht::Result<dht::PutRequest> read_put(const RpcValue& map);
dht::Result<dht::PutRequest> read_del(const RpcValue& map);
dht::Result<dht::PutRequest> read_incr(const RpcValue& map);
dht::Result<GetCall> read_get(const RpcValue& map);
dht::Result<MgetCall> read_mget(const RpcValue& map);
dht::Result<MputCall> read_mput(const RpcValue& map);
dht::Result<dht::ScanRequest> read_scan(const RpcValue& map);
dht::Result<WatchCall> read_watch(const RpcValue& map);
dht::Result<std::uint32_t> read_unwatch(const RpcValue& map);
dht::Result<dht::ChunksRequest> read_chunks(const RpcValue& map);
dht::Result<std::string> read_locate(const RpcValue& map);
dht::Result<dht::PolicyRequest> read_ns_set(const RpcValue& map);
dht::Result<std::size_t> read_hot(const RpcValue& map);
dht::Result<std::string> read_snapshot(const RpcValue& map);
dht::Result<RestoreCall> read_restore(const RpcValue& map);
dht::Result<RepairCall> read_repair(const RpcValue& map);
dht::Result<LeaveCall> read_leave(const RpcValue& map);
dht::Result<JoinCall> read_join(const RpcValue& map);

// For methods without params: an empty map, or nil.
dht::Status read_nothing(const RpcValue& map);

}  // namespace kith::daemon
