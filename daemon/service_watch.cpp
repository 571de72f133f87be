// SPDX-License-Identifier: MIT
// watch: a request that stays open, and a notification for each change. The core is told that there is room for another
// one when the client has taken what it was sent; until then it keeps no changes, only which keys have changed.
#include <algorithm>

#include "daemon/service.h"

namespace kith::daemon {
namespace {

// In the order of dht::Change::Kind.
constexpr std::array<std::string_view, 3> kind_words{"value", "absent", "current"};

// What may come before the client is known to have taken any; of a connection with many watches one for each.
constexpr std::size_t credit_first = 4;
constexpr std::size_t watches_with_credit = 16;

std::size_t bytes_in(const dht::ReadAnswer& answer) {
  std::size_t bytes = 0;
  for (const dht::ReadValue& value : answer.values) bytes += value.bytes.size();
  return bytes;
}

}  // namespace

void Service::watch(dht::Now now, const Call& call, dht::HostOutputs& out) {
  auto watch = read_watch(call.params);
  if (!watch) return responder_.fail(call.from, watch.error());
  client_states_[call.from.client].requests += 1;
  const auto open =
      std::ranges::count_if(watching_, [&](const auto& each) { return each.second.from.client == call.from.client; });
  watch->request.credit = static_cast<std::size_t>(open) < watches_with_credit ? credit_first : 1;
  const dht::Ticket ticket = control_.host().watch(now, std::move(watch->request), out);
  expect(ticket, {.from = call.from, .shown = watch->shown});
  watching_.emplace(ticket, Watching{.from = call.from, .shown = watch->shown});
}

void Service::unwatch(dht::Now, const Call& call, dht::HostOutputs&) {
  const auto request = read_unwatch(call.params);
  if (!request) return responder_.fail(call.from, request.error());
  const auto found = std::ranges::find_if(watching_, [&](const auto& each) {
    return each.second.from.client == call.from.client && each.second.from.id == *request;
  });
  if (found == watching_.end()) {
    return responder_.fail(call.from, {dht::ErrorCode::invalid,
                                       "no watch of this connection has the request " + std::to_string(*request)});
  }
  control_.host().cancel(found->first);
  const Asked asked = asked_.at(found->first);
  client_states_[call.from.client].requests -= 1;
  ended(asked);
  asked_.erase(found->first);
  responder_.respond(found->second.from,
                     [&](RpcWriter& writer) { writer.map(1).text("changes").number(found->second.told); });
  responder_.respond(call.from, [](RpcWriter& writer) { writer.map(0); });
  watching_.erase(found);
}

void Service::changed(dht::Now now, const dht::Change& change, dht::HostOutputs& out) {
  const auto found = watching_.find(change.watch);
  if (found == watching_.end()) return;
  Watching& watching = found->second;
  const bool is_end = change.kind == dht::Change::Kind::current;
  const std::string_view kind = kind_words[static_cast<std::size_t>(change.kind)];
  if (is_end) {
    responder_.notify(watching.from, "change", 1, [&](RpcWriter& writer) { writer.text("change").text(kind); });
    return;
  }
  if (bytes_in(change.answer) > dht::limits::client_answer_bytes_max / 2) {
    responder_.notify(watching.from, "change", 3, [&](RpcWriter& writer) {
      writer.text("change").text(kind).text("key").name(change.answer.key).text("error");
      write_error(writer,
                  {dht::ErrorCode::too_large, "the values of " + change.answer.key + " are too large to be told"});
    });
  } else {
    responder_.notify(watching.from, "change", 1 + read_fields(change.answer), [&](RpcWriter& writer) {
      writer.text("change").text(kind);
      write_read_fields(writer, change.answer, watching.shown);
    });
  }
  watching.told += 1;
  watching.untaken += 1;
  tell_further(now, watching.from.client, out);
}

void Service::tell_further(dht::Now now, ClientId client, dht::HostOutputs& out) {
  if (!has_room(client)) return;
  std::vector<std::pair<dht::Ticket, std::size_t>> taken;
  for (auto& [ticket, watching] : watching_) {
    if (watching.from.client != client || watching.untaken == 0) continue;
    taken.emplace_back(ticket, std::exchange(watching.untaken, 0));
  }
  for (const auto& [ticket, credit] : taken) control_.host().grant(now, ticket, credit, out);
}

}  // namespace kith::daemon
