// SPDX-License-Identifier: MIT
#include "cli/batch.h"

#include <algorithm>
#include <random>
#include <utility>

namespace kith::cli {

namespace {

using daemon::RpcKind;
using daemon::RpcMessage;
using daemon::RpcValue;
using daemon::RpcWriter;

constexpr std::size_t keys_per_request = 250;
constexpr std::size_t bytes_per_request = 1U << 20;
constexpr std::size_t key_bytes_per_request = 32U << 10;
constexpr std::size_t requests_in_flight = 2;
constexpr int tries_max = 3;

bool is_worth_another_try(const RpcValue& error) {
  const auto code = error["code"].text();
  return code == "timeout" || code == "unavailable";
}

std::size_t size_of(const Item& item) { return item.key.size() + item.value.size() + 64; }

void write_item(RpcWriter& params, const Item& item) {
  params.map(3U + (item.ttl_ms ? 1U : 0U) + (item.is_manifest ? 1U : 0U)).text("key").name(item.key);
  item.by ? params.text("incr").integer(*item.by) : params.text("value").bytes(item.value);
  params.text("op_id").bytes(item.op_id);
  if (item.ttl_ms) params.text("ttl_ms").number(*item.ttl_ms);
  if (item.is_manifest) params.text("manifest").boolean(true);
}

// Few enough bytes for the daemon to take them all while it waits for this end to read.
std::size_t count_of_request(const std::vector<std::string>& keys, std::size_t from) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (from + count < keys.size() && count < keys_per_request) {
    bytes += keys[from + count].size() + 8;
    if (count > 0 && bytes > key_bytes_per_request) break;
    count += 1;
  }
  return count;
}

}  // namespace

BatchWriter::BatchWriter(Client& client, WriteTerms terms, OnAnswer on_answer)
    : client_(client), terms_(std::move(terms)), on_answer_(std::move(on_answer)) {
  std::random_device entropy;
  for (std::uint8_t& byte : last_id_) byte = static_cast<std::uint8_t>(entropy());
}

// The same write, should it be tried again: else it would follow what was written to its key meanwhile.
void BatchWriter::add(Item item) {
  crypto::store_be64(last_id_.data(), crypto::load_be64(last_id_.data()) + 1);
  item.op_id = last_id_;
  enqueue(std::move(item));
  while (waiting_.size() >= keys_per_request || waiting_bytes_ >= bytes_per_request) send();
}

void BatchWriter::enqueue(Item item) {
  waiting_bytes_ += size_of(item);
  waiting_.push_back(std::move(item));
}

void BatchWriter::send() {
  std::vector<Item> items;
  std::size_t bytes = 0;
  while (!waiting_.empty() && items.size() < keys_per_request) {
    const std::size_t more = size_of(waiting_.front());
    if (!items.empty() && bytes + more > bytes_per_request) break;
    bytes += more;
    items.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  waiting_bytes_ -= bytes;
  if (items.empty()) return;
  const std::uint32_t id = client_.send("mput", [&](RpcWriter& params) {
    params.map(1 + count_fields(terms_)).text("items").array(items.size());
    for (const Item& item : items) write_item(params, item);
    write_fields(params, terms_);
  });
  in_flight_.emplace(id, std::move(items));
  while (in_flight_.size() >= requests_in_flight) take_one_message();
}

void BatchWriter::take_one_message() {
  const RpcMessage& message = client_.receive();
  if (message.kind == RpcKind::notification) return take_item(message.params);
  if (!message.error.is_nil()) die_of(message.error);
  in_flight_.erase(message.id);
}

void BatchWriter::take_item(const RpcValue& answer) {
  const auto found = in_flight_.find(answer["request"].number().value_or(0));
  const std::size_t index = answer["index"].number().value_or(~0ULL);
  if (found == in_flight_.end() || index >= found->second.size()) return;
  Item& item = found->second[index];
  item.tries += 1;
  if (is_worth_another_try(answer["error"]) && item.tries < tries_max) {
    enqueue(item);
  } else {
    on_answer_(item, answer);
  }
}

void BatchWriter::finish() {
  while (!waiting_.empty() || !in_flight_.empty()) {
    send();
    while (!in_flight_.empty()) take_one_message();
  }
}

void read_keys(Client& client, const std::vector<std::string>& keys, const ReadTerms& terms, const OnKey& on_answer) {
  std::unordered_map<std::uint64_t, std::size_t> first_of;  // request → index of its first key
  std::size_t sent = 0;
  while (sent < keys.size() || !first_of.empty()) {
    if (sent < keys.size() && first_of.size() < requests_in_flight) {
      const std::size_t count = count_of_request(keys, sent);
      const std::uint32_t id = client.send("mget", [&](RpcWriter& params) {
        params.map(1 + count_fields(terms)).text("keys").array(count);
        for (std::size_t i = 0; i < count; ++i) params.name(keys[sent + i]);
        write_fields(params, terms);
      });
      first_of.emplace(id, sent);
      sent += count;
      continue;
    }
    const RpcMessage& message = client.receive();
    if (message.kind == RpcKind::response) {
      if (!message.error.is_nil()) die_of(message.error);
      first_of.erase(message.id);
      continue;
    }
    const auto first = first_of.find(message.params["request"].number().value_or(0));
    const auto index = message.params["index"].number();
    if (first != first_of.end() && index) on_answer(first->second + *index, message.params);
  }
}

}  // namespace kith::cli
