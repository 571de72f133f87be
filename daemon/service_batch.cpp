// SPDX-License-Identifier: MIT
// mget and mput: many tickets behind one request.
#include <algorithm>
#include <utility>

#include "daemon/service.h"

namespace kith::daemon {
namespace {

// How many of a batch's writes are under way at once: enough to fill a commit.
constexpr std::size_t write_window = 256;

// Of what a client has not taken yet, before what else a batch of it reads is dropped and read again later.
constexpr std::size_t unsent_bytes_too_many = 2 * dht::limits::client_unsent_bytes_high;

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

std::size_t Service::Batch::take_index() {
  if (again.empty()) return next++;
  const std::size_t index = again.back();
  again.pop_back();
  return index;
}

// Asks for as many more keys as there is room for, and ends the batch when none is left.
void Service::advance(dht::Now now, std::uint64_t number, dht::HostOutputs& out) {
  const auto found = batches_.find(number);
  if (found == batches_.end()) return;  // its client went away
  Batch& batch = found->second;
  batch.is_read() ? read_on(now, number, batch, out) : write_on(now, number, batch, out);
  if (!batch.is_done()) return;
  client_states_[batch.from.client].requests -= 1;
  responder_.respond(batch.from, [&](RpcWriter& writer) {
    writer.map(4).text("count").number(batch.size());
    writer.text(batch.is_read() ? "found" : "done").number(batch.is_read() ? batch.found : batch.size() - batch.failed);
    writer.text("failed").number(batch.failed);
    writer.text("took_ms").real(milliseconds(now.instant - batch.started));
  });
  batches_.erase(found);
}

// All at once: keys asked of one node in one turn travel together (dht/replication/bundles.h).
void Service::read_on(dht::Now now, std::uint64_t number, Batch& batch, dht::HostOutputs& out) {
  const bool is_full = batch.expected_bytes >= ReadRoom::at_once || !has_room(batch.from.client);
  if (!batch.has_more() || is_full) return;
  const std::size_t room = ReadRoom::at_once - batch.expected_bytes;
  const std::size_t expected = read_room_.expected();
  std::vector<std::size_t> indexes;
  std::vector<dht::GetRequest> requests;
  while (batch.has_more() && indexes.size() * expected < room) {
    indexes.push_back(batch.take_index());
    requests.push_back(batch.reads[indexes.back()]);
  }
  const std::vector<dht::BegunRead> begun = control_.host().read_all(now, requests, room, out);
  for (std::size_t i = 0; i < begun.size(); ++i) {
    const std::size_t bytes = std::max(expected, begun[i].bytes);
    expect(begun[i].ticket, {.from = batch.from,
                             .batch = number,
                             .index = static_cast<std::uint32_t>(indexes[i]),
                             .shown = batch.shown,
                             .expected_bytes = bytes});
    batch.expected_bytes += bytes;
  }
  batch.in_flight += begun.size();
  if (begun.empty()) to_advance_.insert(number);  // when others have ended
  batch.again.insert(batch.again.end(), indexes.rbegin(), indexes.rend() - static_cast<std::ptrdiff_t>(begun.size()));
}

void Service::write_on(dht::Now now, std::uint64_t number, Batch& batch, dht::HostOutputs& out) {
  while (batch.has_more() && batch.in_flight < write_window && has_room(batch.from.client)) {
    write_next(now, number, batch, out);
  }
}

void Service::write_next(dht::Now now, std::uint64_t number, Batch& batch, dht::HostOutputs& out) {
  const std::size_t index = batch.take_index();
  const Asked asked{.from = batch.from, .batch = number, .index = static_cast<std::uint32_t>(index)};
  if (const auto status = control_.accepts_writes(); !status) {
    dht::Completion refused;
    refused.outcome = status.error();
    return answer_item(asked, batch, refused);
  }
  batch.in_flight += 1;
  expect(control_.host().put(now, std::move(batch.writes[index]), out), asked);
}

// How much is read is guessed from what was read before. Where the guess was far too low, what the client has no room
// for is dropped, and read again when it has taken the rest.
void Service::completed_item(const Asked& asked, const dht::Completion& completion) {
  Batch& batch = batches_.at(asked.batch);
  batch.in_flight -= 1;
  batch.expected_bytes -= asked.expected_bytes;
  to_advance_.insert(asked.batch);
  const bool is_too_much = batch.is_read() && clients_.unsent_bytes(asked.from.client) > unsent_bytes_too_many;
  if (is_too_much) {
    batch.again.push_back(asked.index);
  } else {
    answer_item(asked, batch, completion);
  }
}

void Service::answer_item(const Asked& asked, Batch& batch, const dht::Completion& completion) {
  if (const auto* read = std::get_if<dht::ReadAnswer>(&completion.outcome)) {
    const std::size_t before = clients_.unsent_bytes(asked.from.client);
    const bool is_sent = responder_.item(asked.from, asked.index, read_fields(*read),
                                         [&](RpcWriter& writer) { write_read_fields(writer, *read, asked.shown); });
    read_room_.saw(clients_.unsent_bytes(asked.from.client) - before);
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
           return batch.from.client == client && batch.in_flight == 0 && batch.has_more();
         });
}

void Service::client_drained(dht::Now now, ClientId client, dht::HostOutputs& out) {
  std::vector<std::uint64_t> waiting;
  for (const auto& [number, batch] : batches_) {
    if (batch.from.client == client && batch.has_more()) waiting.push_back(number);
  }
  for (const std::uint64_t number : waiting) advance(now, number, out);
  tell_further(now, client, out);
}

}  // namespace kith::daemon
