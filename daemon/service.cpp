// SPDX-License-Identifier: MIT
#include "daemon/service.h"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/log.h"
#include "dht/consensus/configurations.h"
#include "dht/model/deadlines.h"
#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::daemon {
namespace {

// A key of a strong namespace is with the voters of its shard.
void locate_voters(const dht::Node& node, dht::Location& location) {
  location.replicas.clear();
  location.stand_ins.clear();
  const dht::Configuration* known = node.configurations().of(dht::shard_of(location.hash));
  if (known == nullptr) return;
  for (const dht::Voter& voter : known->members) location.replicas.push_back(voter.node);
}

}  // namespace

Service::Method Service::find_method(std::string_view name) {
  // The most frequent first.
  static constexpr std::array<std::pair<std::string_view, Method>, 24> methods{
      {{"get", &Service::get},         {"put", &Service::put},
       {"del", &Service::del},         {"incr", &Service::incr},
       {"mget", &Service::mget},       {"mput", &Service::mput},
       {"scan", &Service::scan},       {"chunks", &Service::chunks},
       {"watch", &Service::watch},     {"unwatch", &Service::unwatch},
       {"status", &Service::status},   {"members", &Service::members},
       {"locate", &Service::locate},   {"ns_set", &Service::ns_set},
       {"ns_list", &Service::ns_list}, {"invite", &Service::invite},
       {"join", &Service::join},       {"snapshot", &Service::snapshot},
       {"restore", &Service::restore}, {"repair", &Service::repair},
       {"leave", &Service::leave},     {"force_config", &Service::force_config},
       {"hot", &Service::hot},         {"stop", &Service::stop}}};
  for (const auto& [known, method] : methods) {
    if (known == name) return method;
  }
  return nullptr;
}

// ---- requests

void Service::request(dht::Now now, ClientId client, const RpcMessage& message, dht::HostOutputs& out) {
  const Call call{{client, message.id}, message.params};
  const Method method = find_method(message.method);
  if (method == nullptr) {
    responder_.fail(call.from,
                    {dht::ErrorCode::unsupported, "no method " + std::string(message.method.substr(0, 64)) +
                                                      " in kith " KITH_VERSION "; docs/socket.md lists them"});
    return;
  }
  (this->*method)(now, call, out);
}

void Service::put(dht::Now now, const Call& call, dht::HostOutputs& out) {
  write(now, call, read_put(call.params), out);
}

void Service::del(dht::Now now, const Call& call, dht::HostOutputs& out) {
  write(now, call, read_del(call.params), out);
}

void Service::incr(dht::Now now, const Call& call, dht::HostOutputs& out) {
  write(now, call, read_incr(call.params), out);
}

void Service::write(dht::Now now, const Call& call, dht::Result<dht::PutRequest> request, dht::HostOutputs& out) {
  if (!request) return responder_.fail(call.from, request.error());
  if (dht::Status status = control_.accepts_writes(); !status) return responder_.fail(call.from, status.error());
  client_states_[call.from.client].requests += 1;
  expect(control_.host().put(now, std::move(*request), out), {.from = call.from});
}

void Service::get(dht::Now now, const Call& call, dht::HostOutputs& out) {
  auto read = read_get(call.params);
  if (!read) return responder_.fail(call.from, read.error());
  client_states_[call.from.client].requests += 1;
  expect(control_.host().get(now, read->request, out),
         {.from = call.from, .shown = read->shown, .expected_bytes = room_for(read->shown)});
}

void Service::scan(dht::Now now, const Call& call, dht::HostOutputs& out) {
  auto request = read_scan(call.params);
  if (!request) return responder_.fail(call.from, request.error());
  client_states_[call.from.client].requests += 1;
  expect(control_.host().scan(now, *request, out), {.from = call.from});
}

void Service::chunks(dht::Now now, const Call& call, dht::HostOutputs& out) {
  auto request = read_chunks(call.params);
  if (!request) return responder_.fail(call.from, request.error());
  client_states_[call.from.client].requests += 1;
  expect(control_.host().find_chunks(now, *request, out), {.from = call.from});
}

// As most meshes are set up; those with larger values stay below 16 times that.
std::size_t Service::room_for(Shown shown) { return dht::limits::value_bytes_default * (shown == Shown::all ? 8 : 1); }

void Service::expect(dht::Ticket ticket, const Asked& asked) {
  asked_.emplace(ticket, asked);
  Client& client = client_states_[asked.from.client];
  client.tickets += 1;
  client.expected_bytes += asked.expected_bytes;
}

void Service::ended(const Asked& asked) {
  Client& client = client_states_[asked.from.client];
  client.tickets -= 1;
  client.expected_bytes -= asked.expected_bytes;
}

void Service::status(dht::Now now, const Call& call, dht::HostOutputs&) {
  if (const auto status = read_nothing(call.params); !status) return responder_.fail(call.from, status.error());
  const auto partitions = census_.counts(control_.host().node());
  if (partitions) return write_status(now, call.from, *partitions);
  client_states_[call.from.client].requests += 1;
  awaiting_census_.push_back(call.from);
}

void Service::members(dht::Now now, const Call& call, dht::HostOutputs&) {
  if (const auto status = read_nothing(call.params); !status) return responder_.fail(call.from, status.error());
  responder_.respond(call.from, [&](RpcWriter& writer) { write_members(writer, control_.host().node(), now.instant); });
}

void Service::locate(dht::Now, const Call& call, dht::HostOutputs&) {
  const auto typed = read_locate(call.params);
  if (!typed) return responder_.fail(call.from, typed.error());
  dht::Node& node = control_.host().node();
  const auto key = dht::canonical_key(*typed, node.id());
  if (!key) return responder_.fail(call.from, key.error());
  dht::Location location = node.locate(*key);
  if (node.policies().of(*key).conflict == dht::Conflict::strong) locate_voters(node, location);
  responder_.respond(call.from, [&](RpcWriter& writer) { write_location(writer, node, location); });
}

void Service::ns_set(dht::Now now, const Call& call, dht::HostOutputs& out) {
  const auto request = read_ns_set(call.params);
  if (!request) return responder_.fail(call.from, request.error());
  if (dht::Status status = control_.accepts_writes(); !status) return responder_.fail(call.from, status.error());
  client_states_[call.from.client].requests += 1;
  expect(control_.host().set_policy(now, *request, out), {.from = call.from});
}

void Service::ns_list(dht::Now, const Call& call, dht::HostOutputs&) {
  if (const auto status = read_nothing(call.params); !status) return responder_.fail(call.from, status.error());
  responder_.respond(call.from, [&](RpcWriter& writer) { write_policies(writer, control_.host().node()); });
}

void Service::hot(dht::Now now, const Call& call, dht::HostOutputs&) {
  const auto count = read_hot(call.params);
  if (!count) return responder_.fail(call.from, count.error());
  const std::vector<dht::HotKey> keys = control_.host().node().hot_keys(now, *count);
  responder_.respond(call.from, [&](RpcWriter& writer) { write_hot_keys(writer, keys); });
}

void Service::force_config(dht::Now now, const Call& call, dht::HostOutputs& out) {
  if (const auto status = read_nothing(call.params); !status) return responder_.fail(call.from, status.error());
  const std::size_t forced = control_.host().force_configuration(now, out);
  log_warn("voters of strong namespaces were changed by force", {{"shards", forced}});
  responder_.respond(call.from, [&](RpcWriter& writer) { writer.map(1).text("shards").number(forced); });
}

void Service::invite(dht::Now, const Call& call, dht::HostOutputs&) {
  if (const auto status = read_nothing(call.params); !status) return responder_.fail(call.from, status.error());
  const auto text = control_.invite();
  if (!text) return responder_.fail(call.from, text.error());
  responder_.respond(call.from, [&](RpcWriter& writer) {
    writer.map(2).text("invite").text(text->invite).text("endpoints").array(text->endpoints.size());
    for (const std::string& endpoint : text->endpoints) writer.text(endpoint);
  });
}

void Service::stop(dht::Now, const Call& call, dht::HostOutputs&) {
  if (const auto status = read_nothing(call.params); !status) return responder_.fail(call.from, status.error());
  responder_.respond(call.from, [](RpcWriter& writer) { writer.map(0); });
  control_.stop();
}

// ---- snapshots

void Service::snapshot(dht::Now now, const Call& call, dht::HostOutputs&) {
  const auto file = read_snapshot(call.params);
  if (!file) return responder_.fail(call.from, file.error());
  snapshot_.begin(now, call.from, *file);
}

void Service::restore(dht::Now now, const Call& call, dht::HostOutputs&) {
  auto request = read_restore(call.params);
  if (!request) return responder_.fail(call.from, request.error());
  request->mesh = control_.facts().mesh;
  restore_.begin(now, call.from, std::move(*request));
}

void Service::go_on_with_restore(dht::Now now, dht::HostOutputs& out) {
  if (restore_.is_idle()) return;
  restore_.advance(now, {.host = control_.host(), .room = control_.accepts_writes(), .out = out});
}

// ---- repair

RepairWork::Surroundings Service::around_repair() { return {control_.host().node(), control_.totals().outbox}; }

void Service::repair(dht::Now now, const Call& call, dht::HostOutputs&) {
  const auto request = read_repair(call.params);
  if (!request) return responder_.fail(call.from, request.error());
  repair_.begin(now, call.from, *request, around_repair());
}

// ---- leaving

void Service::leave(dht::Now now, const Call& call, dht::HostOutputs& out) {
  const auto request = read_leave(call.params);
  if (!request) return responder_.fail(call.from, request.error());
  const dht::Status status = request->is_cancel ? control_.stay(now, out) : control_.leave(now, out);
  if (!status) return responder_.fail(call.from, status.error());
  leave_.begin(now, call.from, *request, control_.host().node());
  if (request->is_cancel) leave_.look(now, control_.host().node());
}

// ---- joining

void Service::join(dht::Now now, const Call& call, dht::HostOutputs& out) {
  const auto request = read_join(call.params);
  if (!request) return responder_.fail(call.from, request.error());
  if (joining_) {
    return responder_.fail(call.from, {dht::ErrorCode::denied, "another client's join is under way; wait for it"});
  }
  const std::uint64_t host_before = control_.host_number();
  const auto joined = control_.join(now, request->invite, out);
  if (control_.host_number() != host_before) {
    fail_all({dht::ErrorCode::indeterminate,
              "the daemon began to join another mesh meanwhile; whether this was written is unknown: ask again"});
  }
  if (!joined) return responder_.fail(call.from, joined.error());
  client_states_[call.from.client].requests += 1;
  joining_ = Joining{call.from, now.instant, now.instant + request->deadline, *joined};
}

void Service::fail_all(const dht::Error& error) {
  std::vector<Waiting> unanswered;
  for (const auto& [ticket, asked] : asked_) {
    if (asked.batch == 0) unanswered.push_back(asked.from);
  }
  for (const auto& [number, batch] : batches_) unanswered.push_back(batch.from);
  restore_.abandon(error);
  asked_.clear();
  watching_.clear();
  batches_.clear();
  for (auto& [id, client] : client_states_) client.tickets = client.expected_bytes = 0;
  for (const Waiting& waiting : unanswered) {
    client_states_[waiting.client].requests -= 1;
    responder_.fail(waiting, error);
  }
}

void Service::finish_join(dht::Now now) {
  const Joining joining = *std::exchange(joining_, std::nullopt);
  const auto client = client_states_.find(joining.from.client);
  if (client != client_states_.end()) client->second.requests -= 1;
  const std::size_t members = control_.host().node().members().size() + 1;
  if (members == 1) {
    return responder_.fail(joining.from, {dht::ErrorCode::timeout,
                                          "no member of the mesh answered yet; the daemon goes on trying: see "
                                          "`kith members`, and check that the invite's addresses are reachable"});
  }
  responder_.respond(joining.from, [&](RpcWriter& writer) {
    writer.map(4).text("mesh").text(joining.joined.mesh).text("members").number(members);
    writer.text("records").number(joining.joined.records);
    writer.text("took_ms").real(milliseconds(now.instant - joining.started));
  });
}

void Service::on_event(dht::Now now, const dht::Event& event) {
  if (event.kind == dht::EventKind::left_mesh) leave_.look(now, control_.host().node());
  control_.on_event(event);
  if (joining_ && event.kind == dht::EventKind::joined_mesh) finish_join(now);
}

void Service::on_deadline(dht::Now now, dht::HostOutputs& out) {
  if (joining_ && joining_->deadline <= now.instant) finish_join(now);
  snapshot_.on_deadline(now);
  if (const auto due = leave_.next_deadline(); due && *due <= now.instant) leave_.look(now, control_.host().node());
  if (const auto due = repair_.next_deadline(); due && *due <= now.instant) repair_.on_deadline(now, around_repair());
  if (const auto due = restore_.next_deadline(); due && *due <= now.instant) go_on_with_restore(now, out);
}

std::optional<dht::Instant> Service::next_deadline() const {
  std::optional<dht::Instant> next = joining_ ? std::optional(joining_->deadline) : std::nullopt;
  for (const auto& other :
       {snapshot_.next_deadline(), restore_.next_deadline(), repair_.next_deadline(), leave_.next_deadline()})
    next = dht::earlier(next, other);
  return next;
}

// ---- answers

void Service::settle(dht::Now now, dht::HostOutputs& out) {
  while (!out.completions.empty() || !out.changes.empty() || !out.events.empty()) {
    // Swapped, not moved: both sides keep their memory.
    events_.swap(out.events);
    for (const dht::Event& event : events_) on_event(now, event);
    events_.clear();
    changes_.swap(out.changes);
    for (const dht::Change& change : changes_) changed(now, change, out);
    changes_.clear();
    completions_.swap(out.completions);
    for (const dht::Completion& completion : completions_) completed(now, completion, out);
    completions_.clear();
    // Once for all that has come: what is asked for next is asked for together.
    for (const std::uint64_t batch : std::exchange(to_advance_, {})) advance(now, batch, out);
  }
}

void Service::completed(dht::Now now, const dht::Completion& completion, dht::HostOutputs& out) {
  if (restore_.owns(completion.ticket)) {
    restore_.completed(completion);
    return go_on_with_restore(now, out);
  }
  const auto found = asked_.extract(completion.ticket);
  if (!found) return;  // its client went away
  const Asked& asked = found.mapped();
  watching_.erase(completion.ticket);
  ended(asked);
  if (asked.batch != 0) return completed_item(asked, completion);
  client_states_[asked.from.client].requests -= 1;
  answer(asked, completion);
}

void Service::answer(const Asked& asked, const dht::Completion& completion) {
  if (const auto* read = std::get_if<dht::ReadAnswer>(&completion.outcome)) {
    responder_.respond(asked.from, [&](RpcWriter& writer) {
      writer.map(read_fields(*read));
      write_read_fields(writer, *read, asked.shown);
    });
    return;
  }
  if (const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome)) {
    responder_.respond(asked.from, [&](RpcWriter& writer) {
      writer.map(receipt_fields(*receipt));
      write_receipt_fields(writer, *receipt);
    });
    return;
  }
  if (const auto* page = std::get_if<dht::ScanAnswer>(&completion.outcome)) {
    responder_.respond(asked.from, [&](RpcWriter& writer) { write_scan(writer, *page); });
    return;
  }
  if (const auto* chunks = std::get_if<dht::ChunksAnswer>(&completion.outcome)) {
    responder_.respond(asked.from, [&](RpcWriter& writer) { write_chunks(writer, *chunks); });
    return;
  }
  if (const auto* policy = std::get_if<dht::PolicyAnswer>(&completion.outcome)) {
    const auto bytes = control_.host().node().usage_of(policy->name);
    responder_.respond(asked.from,
                       [&](RpcWriter& writer) { write_policy(writer, policy->name, policy->policy, bytes); });
    return;
  }
  const bool is_write = !completion.partial.key.empty();
  responder_.fail(asked.from, std::get<dht::Error>(completion.outcome), is_write ? &completion.partial : nullptr);
}

bool Service::has_room(ClientId client) const {
  const auto state = client_states_.find(client);
  return has_room(client, state == client_states_.end() ? Client{} : state->second);
}

bool Service::has_room(ClientId client, const Client& state) const {
  return state.requests < dht::limits::client_requests_in_flight_max &&
         clients_.unsent_bytes(client) + state.expected_bytes < dht::limits::client_unsent_bytes_high;
}

void Service::client_closed(ClientId client) {
  snapshot_.client_closed(client);
  restore_.client_closed(client);
  repair_.client_closed(client);
  leave_.client_closed(client);
  const auto state = client_states_.find(client);
  if (state == client_states_.end()) return;
  const bool has_tickets = state->second.tickets > 0;
  client_states_.erase(state);
  std::erase_if(batches_, [&](const auto& entry) { return entry.second.from.client == client; });
  std::erase_if(awaiting_census_, [&](const Waiting& waiting) { return waiting.client == client; });
  if (joining_ && joining_->from.client == client) joining_.reset();
  if (!has_tickets) return;
  std::erase_if(asked_, [&](const auto& entry) {
    if (entry.second.from.client != client) return false;
    control_.host().cancel(entry.first);
    watching_.erase(entry.first);
    return true;
  });
}

// ---- status

void Service::step(dht::Now now) {
  dht::Node& node = control_.host().node();
  if (awaiting_census_.empty() || !census_.step(node)) return;
  const auto partitions = census_.counts(node);
  if (!partitions) return;  // the members changed meanwhile: it begins anew
  for (const Waiting& waiting : std::exchange(awaiting_census_, {})) {
    client_states_[waiting.client].requests -= 1;
    write_status(now, waiting, *partitions);
  }
}

void Service::write_status(dht::Now now, const Waiting& to, const PartitionCounts& partitions) {
  const ProcessFacts facts = control_.facts();
  const dht::StoreTotals totals = control_.totals();
  const RequestCounts requests{tickets_open(), responder_.done(), responder_.failed()};
  const StatusReport report{control_.host(), facts, requests, partitions, totals};
  responder_.respond(to, [&](RpcWriter& writer) { daemon::write_status(writer, report, now.instant); });
}

}  // namespace kith::daemon
