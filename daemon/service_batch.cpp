// SPDX-License-Identifier: MIT
// mget and mput: many tickets behind one request.
#include <algorithm>
#include <utility>

#include "daemon/service.h"

namespace kith::daemon {
namespace {

// How many of a batch's keys are under way at once: enough to fill a commit. Reads are fewer, by their room.
constexpr std::size_t batch_window = 256;

}  // namespace

void Service::mget(dht::Now now, const Call& call, dht::HostOutputs& out) {
  auto read = read_mget(call.params);
  if (!read) return responder_.fail(call.from, read.error());
  Batch batch{.from = call.from, .started = now.instant, .shown = read->terms.shown};
  batch.reads.reserve(read->keys.size());
  for (std::string& key : read->keys) {
    batch.reads.push_back(read->terms.request);
    batch.reads.back().key = std::move(key);
  }
  begin(now, std::move(batch), out);
}

void Service::mput(dht::Now now, const Call& call, dht::HostOutputs& out) {
  auto write = read_mput(call.params);
  if (!write) return responder_.fail(call.from, write.error());
  begin(now, {.from = call.from, .started = now.instant, .writes = std::move(write->items)}, out);
}

void Service::begin(dht::Now now, Batch batch, dht::HostOutputs& out) {
  client_states_[batch.from.client].requests += 1;
  const std::uint64_t number = ++last_batch_;
  batches_.emplace(number, std::move(batch));
  advance(now, number, out);
}

// Asks for as many more keys as the window and the client's room allow, and ends the batch when none is left.
void Service::advance(dht::Now now, std::uint64_t number, dht::HostOutputs& out) {
  const auto found = batches_.find(number);
  Batch& batch = found->second;
  Client& client = client_states_[batch.from.client];
  while (batch.next < batch.size() && batch.in_flight < batch_window && has_room(batch.from.client, client)) {
    ask_next(now, number, batch, out);
  }
  if (!batch.is_done()) return;
  client.requests -= 1;
  responder_.respond(batch.from, [&](RpcWriter& writer) {
    writer.map(4).text("count").number(batch.size());
    writer.text(batch.is_read() ? "found" : "done").number(batch.is_read() ? batch.found : batch.size() - batch.failed);
    writer.text("failed").number(batch.failed);
    writer.text("took_ms").real(milliseconds(now.instant - batch.started));
  });
  batches_.erase(found);
}

void Service::ask_next(dht::Now now, std::uint64_t number, Batch& batch, dht::HostOutputs& out) {
  const std::size_t index = batch.next++;
  const Asked asked{batch.from, number, static_cast<std::uint32_t>(index), batch.shown, batch.is_read()};
  if (!batch.is_read()) {
    if (const auto status = control_.accepts_writes(); !status) {
      dht::Completion refused;
      refused.outcome = status.error();
      return answer_item(asked, batch, refused);
    }
  }
  batch.in_flight += 1;
  dht::Host& host = control_.host();
  expect(batch.is_read() ? host.get(now, batch.reads[index], out) : host.put(now, std::move(batch.writes[index]), out),
         asked);
}

void Service::answer_item(const Asked& asked, Batch& batch, const dht::Completion& completion) {
  if (const auto* read = std::get_if<dht::ReadAnswer>(&completion.outcome)) {
    const bool is_sent = responder_.item(asked.from, asked.index, read_fields(*read),
                                         [&](RpcWriter& writer) { write_read_fields(writer, *read, asked.shown); });
    batch.found += is_sent && is_found(*read, asked.shown) ? 1 : 0;
    batch.failed += is_sent ? 0 : 1;
    return;
  }
  if (const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome)) {
    responder_.item(asked.from, asked.index, receipt_fields(*receipt),
                    [&](RpcWriter& writer) { write_receipt_fields(writer, *receipt); });
    return;
  }
  batch.failed += 1;
  const auto* error = std::get_if<dht::Error>(&completion.outcome);
  if (error == nullptr) return;
  const bool is_write = !completion.partial.key.empty();
  responder_.item(asked.from, asked.index, 1, [&](RpcWriter& writer) {
    writer.text("error");
    write_error(writer, *error, is_write ? &completion.partial : nullptr);
  });
}

bool Service::waits_for_room(ClientId client) const {
  const bool is_untold = std::ranges::any_of(
      watching_, [&](const auto& each) { return each.second.from.client == client && each.second.untaken > 0; });
  return is_untold || std::ranges::any_of(batches_, [&](const auto& entry) {
           const Batch& batch = entry.second;
           return batch.from.client == client && batch.in_flight == 0 && batch.next < batch.size();
         });
}

void Service::client_drained(dht::Now now, ClientId client, dht::HostOutputs& out) {
  std::vector<std::uint64_t> waiting;
  for (const auto& [number, batch] : batches_) {
    if (batch.from.client == client && batch.next < batch.size()) waiting.push_back(number);
  }
  for (const std::uint64_t number : waiting) advance(now, number, out);
  tell_further(now, client, out);
}

}  // namespace kith::daemon
