// SPDX-License-Identifier: MIT
#include "daemon/rpc_params.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "dht/model/limits.h"
#include "dht/model/manifest.h"

namespace kith::daemon {
namespace {

constexpr std::uint64_t copies_max = dht::limits::quorum_max;
constexpr std::uint64_t wait_ms_most = std::uint64_t{7} * 24 * 3600 * 1000;

dht::Error invalid(std::string message) { return {dht::ErrorCode::invalid, std::move(message)}; }

// Takes params out of a map one by one; the first that is wrong is remembered, and finish() also finds those that
// nobody asked for.
class Params {
 public:
  explicit Params(const RpcValue& map) : map_(map) {
    if (!map.is_map() && !map.is_nil()) fail("params must be a map");
  }

  template <typename Read>
  auto take(std::string_view name, const char* wanted, Read read) -> decltype(read(RpcValue{})) {
    asked_[asked_count_++] = name;
    const RpcValue value = map_[name];
    if (value.is_nil()) return {};  // as if left out
    ++taken_;
    auto result = read(value);
    if (!result) fail(std::string(name) + " must be " + wanted);
    return result;
  }

  template <typename Read>
  auto require(std::string_view name, const char* wanted, Read read) -> decltype(read(RpcValue{})) {
    if (map_[name].is_nil()) fail(std::string(name) + " is missing");
    return take(name, wanted, read);
  }

  void fail(std::string message) {
    if (!error_) error_ = invalid(std::move(message));
  }

  // The error, if there is one.
  const std::optional<dht::Error>& finish() {
    if (!error_ && taken_ < map_.size()) find_unknown();
    return error_;
  }

  std::string key() {
    const auto bytes = require("key", "a string or bytes", [](const RpcValue& v) { return v.text_or_bytes(); });
    return bytes ? std::string(bytes->begin(), bytes->end()) : std::string{};
  }

  // Absolute: the client and the daemon do not stand in the same folder.
  std::string file() {
    const auto bytes = require("file", "a string or bytes", [](const RpcValue& v) { return v.text_or_bytes(); });
    if (bytes && (bytes->empty() || bytes->front() != '/')) fail("file must be an absolute path");
    return bytes ? std::string(bytes->begin(), bytes->end()) : std::string{};
  }

  std::optional<std::uint64_t> number(std::string_view name, std::uint64_t least, std::uint64_t most) {
    const auto value = take(name, "an unsigned integer", [](const RpcValue& v) { return v.number(); });
    if (value && (*value < least || *value > most)) {
      fail(std::string(name) + " must be from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value;
  }

  std::optional<std::int64_t> integer(std::string_view name) {
    return take(name, "an integer", [](const RpcValue& v) { return v.integer(); });
  }

  bool flag(std::string_view name) {
    return take(name, "true or false", [](const RpcValue& v) { return v.boolean(); }).value_or(false);
  }

  dht::Duration deadline(dht::Duration otherwise) {
    const std::uint64_t most =
        std::chrono::duration_cast<std::chrono::milliseconds>(dht::limits::request_deadline_max).count();
    const auto given = number("timeout_ms", 1, most);
    return given ? std::chrono::milliseconds(*given) : otherwise;
  }

 private:
  bool is_asked(std::string_view name) const {
    const auto* const end = asked_.data() + asked_count_;
    return std::find(asked_.data(), end, name) != end;
  }

  void find_unknown() {
    std::size_t nils = 0;
    map_.for_each_pair([&](const RpcValue& name, const RpcValue& value) {
      const std::string_view text = name.text().value_or("");
      if (!is_asked(text)) fail(std::string(text) + " is not a param of this method (docs/socket.md)");
      nils += value.is_nil() ? 1 : 0;
    });
    if (taken_ + nils < map_.size()) fail("a param is given twice");
  }

  RpcValue map_;
  std::size_t taken_ = 0;
  std::array<std::string_view, 16> asked_{};  // no method has more params
  std::size_t asked_count_ = 0;
  std::optional<dht::Error> error_;
};

std::optional<dht::OpId> op_id_of(const RpcValue& value) {
  const auto bytes = value.bytes();
  dht::OpId id{};
  if (!bytes || bytes->size() != id.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), id.begin());
  return id;
}

template <typename Enum, std::size_t count>
std::optional<Enum> word_of(const RpcValue& value, const std::array<std::string_view, count>& words) {
  const auto found = std::ranges::find(words, value.text().value_or(""));
  if (found == words.end()) return std::nullopt;
  return static_cast<Enum>(found - words.begin());
}

std::optional<dht::Cache> cache_of(const RpcValue& value) { return word_of<dht::Cache>(value, cache_words); }

std::optional<dht::Durability> durability_of(const RpcValue& value) {
  return word_of<dht::Durability>(value, durability_words);
}

std::optional<dht::Conflict> conflict_of(const RpcValue& value) {
  return word_of<dht::Conflict>(value, conflict_words);
}

std::optional<dht::Wait> wait_of(const RpcValue& value) {
  static constexpr std::array<std::string_view, 4> words{"local", "one", "quorum", "all"};
  const auto word = std::find(words.begin(), words.end(), value.text().value_or(""));
  if (word == words.end()) return std::nullopt;
  return static_cast<dht::Wait>(word - words.begin());
}

crypto::Bytes copy(const std::optional<crypto::ByteSpan>& bytes) {
  return bytes ? crypto::Bytes(bytes->begin(), bytes->end()) : crypto::Bytes{};
}

// What all items of a batch have in common.
void take_write_terms(Params& params, dht::PutRequest& request) {
  const auto wait = params.take("wait", "\"local\", \"one\", \"quorum\" or \"all\"", wait_of);
  if (wait) request.wait = *wait;
  if (const auto w = params.number("w", 1, copies_max)) request.w = static_cast<int>(*w);
  if (params.flag("strict")) request.strictness = dht::Strictness::strict;
  request.deadline = params.deadline(request.deadline);
}

void take_op_id(Params& params, dht::PutRequest& request) {
  request.op_id = params.take("op_id", "16 bytes", op_id_of);
}

void take_write_item(Params& params, dht::PutRequest& request) {
  request.key = params.key();
  request.token = copy(params.take("version", "bytes", [](const RpcValue& v) { return v.bytes(); }));
  const auto expected = params.take("if_version", "bytes, and not empty", [](const RpcValue& v) {
    const auto bytes = v.bytes();
    return bytes && !bytes->empty() ? bytes : std::nullopt;
  });
  const bool is_new = params.flag("if_absent");
  if ((is_new ? 1 : 0) + (expected ? 1 : 0) + (request.token.empty() ? 0 : 1) > 1) {
    params.fail("version, if_version and if_absent exclude each other");
  }
  if (is_new) request.condition = dht::Condition::absent;
  if (expected) {
    request.condition = dht::Condition::version;
    request.token = copy(expected);
  }
  take_op_id(params, request);
}

void take_ttl(Params& params, dht::PutRequest& request) {
  request.ttl_ms = params.number("ttl_ms", 0, dht::limits::life_ms_max);
}

void take_value(Params& params, dht::PutRequest& request) {
  request.value = copy(params.require("value", "bytes", [](const RpcValue& v) { return v.text_or_bytes(); }));
  take_ttl(params, request);
  if (!params.flag("manifest")) return;
  request.kind = dht::EntryKind::manifest;
  if (!dht::read_blob_form(request.value)) params.fail("value is no manifest of a blob (docs/data-model.md)");
}

// An item of a batch is a value, or an increment.
void take_value_or_increment(Params& params, dht::PutRequest& request) {
  const auto by = params.integer("incr");
  if (!by) return take_value(params, request);
  request.kind = dht::EntryKind::counter;
  request.by = *by;
  take_ttl(params, request);
}

void take_read_terms(Params& params, GetCall& call) {
  if (const auto r = params.number("r", 1, copies_max)) call.request.r = static_cast<int>(*r);
  if (params.flag("strict")) call.request.strictness = dht::Strictness::strict;
  if (params.flag("all")) call.shown = Shown::all;
  call.request.deadline = params.deadline(call.request.deadline);
}

std::optional<RpcValue> list_of(const RpcValue& value) {
  return value.is_array() ? std::optional(value) : std::nullopt;
}

dht::Error too_many(const char* what, std::size_t count) {
  return {dht::ErrorCode::too_large, std::to_string(count) + " " + what + ", at most " +
                                         std::to_string(dht::limits::batch_items_max) +
                                         " in one request; send several"};
}

template <typename Call>
dht::Result<Call> finished(Params& params, Call call) {
  if (const auto& error = params.finish()) return *error;
  return call;
}

}  // namespace

dht::Result<dht::PutRequest> read_put(const RpcValue& map) {
  Params params(map);
  dht::PutRequest request;
  take_write_item(params, request);
  take_value(params, request);
  take_write_terms(params, request);
  return finished(params, std::move(request));
}

dht::Result<dht::PutRequest> read_del(const RpcValue& map) {
  Params params(map);
  dht::PutRequest request;
  request.kind = dht::EntryKind::tombstone;
  take_write_item(params, request);
  take_write_terms(params, request);
  return finished(params, std::move(request));
}

dht::Result<dht::PutRequest> read_incr(const RpcValue& map) {
  Params params(map);
  dht::PutRequest request;
  request.key = params.key();
  const auto by = params.integer("by");
  const bool is_reset = params.flag("reset");
  if (is_reset && by) params.fail("by and reset exclude each other: a reset sets the counter to 0");
  request.kind = is_reset ? dht::EntryKind::counter_reset : dht::EntryKind::counter;
  request.by = by.value_or(1);
  take_op_id(params, request);
  take_ttl(params, request);
  if (is_reset && request.ttl_ms) params.fail("ttl_ms and reset exclude each other: a reset does not expire");
  take_write_terms(params, request);
  return finished(params, std::move(request));
}

dht::Result<GetCall> read_get(const RpcValue& map) {
  Params params(map);
  GetCall call;
  call.request.key = params.key();
  take_read_terms(params, call);
  return finished(params, std::move(call));
}

dht::Result<MgetCall> read_mget(const RpcValue& map) {
  Params params(map);
  MgetCall call;
  take_read_terms(params, call.terms);
  const RpcValue keys = params.require("keys", "a list", list_of).value_or(RpcValue{});
  if (keys.size() > dht::limits::batch_items_max) return too_many("keys", keys.size());
  call.keys.reserve(keys.size());
  keys.for_each([&](const RpcValue& key) {
    const auto bytes = key.text_or_bytes();
    if (!bytes) return params.fail("keys must be strings or bytes");
    call.keys.emplace_back(bytes->begin(), bytes->end());
  });
  return finished(params, std::move(call));
}

dht::Result<MputCall> read_mput(const RpcValue& map) {
  Params params(map);
  dht::PutRequest terms;
  take_write_terms(params, terms);
  const RpcValue items = params.require("items", "a list", list_of).value_or(RpcValue{});
  if (items.size() > dht::limits::batch_items_max) return too_many("items", items.size());
  MputCall call;
  call.items.reserve(items.size());
  items.for_each([&](const RpcValue& item) {
    Params item_params(item);
    dht::PutRequest request = terms;
    take_write_item(item_params, request);
    take_value_or_increment(item_params, request);
    if (const auto& error = item_params.finish()) {
      params.fail("item " + std::to_string(call.items.size()) + ": " + error->message);
    }
    call.items.push_back(std::move(request));
  });
  return finished(params, std::move(call));
}

dht::Result<dht::ScanRequest> read_scan(const RpcValue& map) {
  Params params(map);
  dht::ScanRequest request;
  const auto prefix = params.take("prefix", "a string or bytes", [](const RpcValue& v) { return v.text_or_bytes(); });
  if (prefix) request.prefix.assign(prefix->begin(), prefix->end());
  request.after = params.take("after", "32 bytes", [](const RpcValue& v) -> std::optional<dht::KeyHash> {
    const auto bytes = v.bytes();
    dht::KeyHash hash;
    if (!bytes || bytes->size() != hash.bytes.size()) return std::nullopt;
    std::copy(bytes->begin(), bytes->end(), hash.bytes.begin());
    return hash;
  });
  request.count = params.number("count", 1, dht::limits::batch_items_max).value_or(request.count);
  request.only_manifests = params.flag("only_manifests");
  request.deadline = params.deadline(request.deadline);
  return finished(params, std::move(request));
}

dht::Result<dht::ChunksRequest> read_chunks(const RpcValue& map) {
  Params params(map);
  dht::ChunksRequest request;
  const RpcValue hashes = params.require("hashes", "a list", list_of).value_or(RpcValue{});
  if (hashes.size() > dht::limits::chunks_sought_max) {
    params.fail(std::to_string(hashes.size()) + " hashes; the limit chunks_sought_max is " +
                std::to_string(dht::limits::chunks_sought_max));
  }
  hashes.for_each([&](const RpcValue& value) {
    const auto bytes = value.bytes();
    if (!bytes || bytes->size() != sizeof(crypto::Hash256)) return params.fail("hashes must be of 32 bytes each");
    std::ranges::copy(*bytes, request.hashes.emplace_back().begin());
  });
  request.since_ms = params.number("since_ms", 0, UINT64_MAX).value_or(0);
  request.deadline = params.deadline(request.deadline);
  return finished(params, std::move(request));
}

dht::Result<WatchCall> read_watch(const RpcValue& map) {
  Params params(map);
  WatchCall call;
  const auto text_or_bytes = [](const RpcValue& v) { return v.text_or_bytes(); };
  const auto key = params.take("key", "a string or bytes", text_or_bytes);
  const auto prefix = params.take("prefix", "a string or bytes", text_or_bytes);
  if (key.has_value() == prefix.has_value()) params.fail("a watch has a key, or a prefix");
  call.request.is_prefix = prefix.has_value();
  if (const auto& target = key ? key : prefix) call.request.target.assign(target->begin(), target->end());
  const RpcValue seen = params.take("seen", "a list", list_of).value_or(RpcValue{});
  seen.for_each([&](const RpcValue& pair) {
    std::vector<crypto::Bytes> parts;
    pair.for_each([&](const RpcValue& part) {
      if (part.text_or_bytes()) parts.push_back(copy(part.text_or_bytes()));
    });
    if (parts.size() != 2 || pair.size() != 2)
      return params.fail("seen must be a list of lists: a key, and its version");
    call.request.seen.push_back({.key = {parts[0].begin(), parts[0].end()}, .token = std::move(parts[1])});
  });
  if (params.flag("all")) call.shown = Shown::all;
  return finished(params, std::move(call));
}

dht::Result<std::uint32_t> read_unwatch(const RpcValue& map) {
  Params params(map);
  const auto request =
      params.require("request", "the id of a watch's request", [](const RpcValue& v) { return v.number(); });
  if (request && *request > UINT32_MAX) params.fail("request must be the id of a watch's request");
  return finished(params, static_cast<std::uint32_t>(request.value_or(0)));
}

dht::Result<std::string> read_locate(const RpcValue& map) {
  Params params(map);
  std::string key = params.key();
  return finished(params, std::move(key));
}

dht::Result<dht::PolicyRequest> read_ns_set(const RpcValue& map) {
  Params params(map);
  dht::PolicyRequest request;
  request.name = params.require("namespace", "a string", [](const RpcValue& v) { return v.text(); }).value_or("");
  if (!is_utf8(request.name)) params.fail("namespace must be UTF-8");
  request.must_be_new = params.flag("create");
  request.conflict = params.take("conflict", "\"newest\", \"siblings\" or \"strong\"", conflict_of);
  request.cache = params.take("cache", "\"around\" or \"through\"", cache_of);
  request.durability = params.take("durability", "\"full\" or \"write-back\"", durability_of);
  request.quota_bytes = params.number("quota_bytes", 0, INT64_MAX);
  const auto copies = [&](std::string_view name) -> std::optional<std::uint8_t> {
    const auto given = params.number(name, 0, copies_max);
    return given ? std::optional(static_cast<std::uint8_t>(*given)) : std::nullopt;
  };
  request.r = copies("r");
  request.w = copies("w");
  request.ttl_ms = params.number("ttl_ms", 0, dht::limits::life_ms_max);
  return finished(params, std::move(request));
}

dht::Result<std::size_t> read_hot(const RpcValue& map) {
  Params params(map);
  return finished(params, params.number("count", 1, dht::limits::demand_keys_max).value_or(20));
}

dht::Result<std::string> read_snapshot(const RpcValue& map) {
  Params params(map);
  return finished(params, params.file());
}

dht::Result<RestoreCall> read_restore(const RpcValue& map) {
  Params params(map);
  RestoreCall call{.file = params.file()};
  call.after = static_cast<std::int64_t>(params.number("after", 0, INT64_MAX).value_or(0));
  return finished(params, std::move(call));
}

dht::Result<RepairCall> read_repair(const RpcValue& map) {
  Params params(map);
  RepairCall call{.is_now = params.flag("now")};
  call.wait = std::chrono::milliseconds(params.number("wait_ms", 0, wait_ms_most).value_or(0));
  return finished(params, call);
}

dht::Result<LeaveCall> read_leave(const RpcValue& map) {
  Params params(map);
  LeaveCall call{.is_cancel = params.flag("cancel")};
  call.wait = std::chrono::milliseconds(params.number("wait_ms", 0, wait_ms_most).value_or(0));
  return finished(params, call);
}

dht::Result<JoinCall> read_join(const RpcValue& map) {
  Params params(map);
  JoinCall call;
  const auto invite = params.require("invite", "a string", [](const RpcValue& v) { return v.text(); });
  call.invite = std::string(invite.value_or(""));
  call.deadline = params.deadline(call.deadline);
  return finished(params, std::move(call));
}

dht::Status read_nothing(const RpcValue& map) {
  Params params(map);
  return finished(params, dht::Done{});
}

}  // namespace kith::daemon
