// SPDX-License-Identifier: MIT
#include "daemon/rpc_results.h"

#include <algorithm>

#include "dht/model/manifest.h"

namespace kith::daemon {
namespace {

bool is_tombstone(const dht::ReadValue& value) { return value.kind == dht::EntryKind::tombstone; }
bool is_counter(const dht::ReadValue& value) { return value.kind == dht::EntryKind::counter; }

void write_manifest(RpcWriter& writer, const dht::BlobForm& form) {
  writer.text("manifest").map(3).text("bytes").number(form.bytes);
  writer.text("chunk_bytes").number(form.chunk_bytes).text("chunks").number(form.chunks());
}

void write_value(RpcWriter& writer, const dht::ReadValue& value) {
  const bool expires = value.expires_ms != 0;
  const auto form = value.kind == dht::EntryKind::manifest ? dht::read_blob_form(value.bytes) : std::nullopt;
  writer.map(3U + (expires ? 1 : 0) + (is_tombstone(value) || is_counter(value) || form ? 1 : 0));
  writer.text("value").bytes(value.bytes);
  if (expires) writer.text("expires_ms").number(value.expires_ms);
  writer.text("author").text(dht::to_text(value.author));
  writer.text("seq").number(value.seq);
  if (is_tombstone(value)) writer.text("tombstone").boolean(true);
  if (is_counter(value)) writer.text("counter").boolean(true);
  if (form) write_manifest(writer, *form);
}

// Newest first. A tombstone only to who wants to see all.
std::vector<const dht::ReadValue*> shown_of(const dht::ReadAnswer& answer, Shown shown) {
  std::vector<const dht::ReadValue*> values;
  const bool is_one = shown == Shown::newest && answer.conflict == dht::Conflict::newest;
  for (const dht::ReadValue& value : answer.values) {
    if (is_one && is_tombstone(value)) break;
    if (shown == Shown::all || !is_tombstone(value)) values.push_back(&value);
    if (is_one) break;
  }
  return values;
}

std::uint64_t count(int number) { return number < 0 ? 0 : static_cast<std::uint64_t>(number); }

}  // namespace

double milliseconds(dht::Duration duration) { return static_cast<double>(duration.count()) / 1000.0; }

void write_receipt_fields(RpcWriter& writer, const dht::Receipt& receipt) {
  writer.text("key").name(receipt.key);
  writer.text("version").bytes(receipt.version);
  writer.text("copies").number(count(receipt.copies));
  writer.text("wanted").number(count(receipt.wanted));
  writer.text("hints").number(count(receipt.hints));
  writer.text("queued").number(count(receipt.queued));
  writer.text("durable").boolean(receipt.durable);
  if (receipt.in_memory > 0) writer.text("in_memory").number(count(receipt.in_memory));
  if (receipt.counter) writer.text("value").integer(*receipt.counter);
  if (receipt.revision > 0) writer.text("revision").number(receipt.revision);
  writer.text("took_ms").real(milliseconds(receipt.took));
}

// Values that did not see each other are all shown where the namespace keeps them.
bool is_found(const dht::ReadAnswer& answer, Shown shown) {
  if (shown == Shown::newest && answer.conflict == dht::Conflict::newest)
    return !answer.values.empty() && !is_tombstone(answer.values.front());
  return !std::all_of(answer.values.begin(), answer.values.end(), is_tombstone);
}

void write_read_fields(RpcWriter& writer, const dht::ReadAnswer& answer, Shown shown) {
  const bool found = is_found(answer, shown);
  writer.text("key").name(answer.key);
  writer.text("found").boolean(found);
  const std::vector<const dht::ReadValue*> values = shown_of(answer, shown);
  writer.text("values").array(values.size());
  for (const dht::ReadValue* value : values) write_value(writer, *value);
  writer.text("version").bytes(answer.version);
  writer.text("replies").number(count(answer.replies));
  writer.text("wanted").number(count(answer.wanted));
  writer.text("degraded").boolean(answer.degraded);
  if (answer.revision > 0) writer.text("revision").number(answer.revision);
  if (answer.age) writer.text("age_ms").real(milliseconds(*answer.age));
  writer.text("took_ms").real(milliseconds(answer.took));
}

void write_policy(RpcWriter& writer, std::string_view name, const dht::Policy& policy,
                  std::optional<std::uint64_t> bytes) {
  const auto copies = [&](std::string_view field, std::uint8_t count) {
    writer.text(field);
    count > 0 ? writer.number(count) : writer.nil();  // nil: the mesh's
  };
  const bool has_quota = policy.quota_bytes > 0;
  writer.map(has_quota ? 9 : 8).text("namespace").name(name);
  writer.text("conflict").text(conflict_words[static_cast<std::size_t>(policy.conflict)]);
  copies("r", policy.r);
  copies("w", policy.w);
  writer.text("ttl_ms").number(policy.ttl_ms);
  writer.text("cache").text(cache_words[static_cast<std::size_t>(policy.cache)]);
  writer.text("durability").text(durability_words[static_cast<std::size_t>(policy.durability)]);
  writer.text("quota_bytes").number(policy.quota_bytes);
  if (!has_quota) return;
  writer.text("bytes");
  bytes ? writer.number(*bytes) : writer.nil();  // nil: unknown yet
}

void write_hot_keys(RpcWriter& writer, const std::vector<dht::HotKey>& keys) {
  writer.map(1).text("keys").array(keys.size());
  for (const dht::HotKey& key : keys) {
    writer.map(key.name.empty() ? 6 : 7);
    if (!key.name.empty()) writer.text("key").name(key.name);
    writer.text("hash").bytes(key.hash.bytes);
    writer.text("reads_per_s").real(key.reads);
    writer.text("asked_per_s").real(key.load);
    writer.text("lenders").number(count(key.lenders));
    writer.text("leases").number(key.leases);
    writer.text("cached").boolean(key.is_held);
  }
}

void write_policies(RpcWriter& writer, const dht::Node& node) {
  const dht::Policies::ByName& policies = node.policies().all();
  writer.map(1).text("namespaces").array(policies.size());
  for (const auto& [name, known] : policies) write_policy(writer, name, known.policy, node.usage_of(name));
}

void write_scan(RpcWriter& writer, const dht::ScanAnswer& answer) {
  writer.map(4).text("keys").array(answer.keys.size());
  for (const std::string& key : answer.keys) writer.name(key);
  writer.text("next");
  answer.next ? writer.bytes(answer.next->bytes) : writer.nil();
  writer.text("members_asked").number(count(answer.members_asked));
  writer.text("members_answered").number(count(answer.members_answered));
}

void write_chunks(RpcWriter& writer, const dht::ChunksAnswer& answer) {
  writer.map(2).text("chunks").array(answer.chunks.size());
  for (const dht::ChunkStanding& chunk : answer.chunks) {
    writer.map(5).text("copies").number(count(chunk.copies)).text("away").number(count(chunk.away));
    writer.text("wanted").number(count(chunk.wanted)).text("needed").number(count(chunk.needed));
    writer.text("own").boolean(chunk.is_own);
  }
  writer.text("took_ms").real(milliseconds(answer.took));
}

void write_error(RpcWriter& writer, const dht::Error& error, const dht::Receipt* so_far) {
  writer.map(3).text("code").text(dht::to_string(error.code)).text("message").name(error.message).text("detail");
  const bool is_open_end = error.code == dht::ErrorCode::timeout || error.code == dht::ErrorCode::indeterminate ||
                           error.code == dht::ErrorCode::conflict;
  if (so_far == nullptr || !is_open_end) {
    writer.nil();
    return;
  }
  writer.map(receipt_fields(*so_far));
  write_receipt_fields(writer, *so_far);
}

}  // namespace kith::daemon
