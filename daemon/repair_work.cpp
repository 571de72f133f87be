// SPDX-License-Identifier: MIT
#include "daemon/repair_work.h"

#include <algorithm>

namespace kith::daemon {
namespace {

constexpr dht::Duration look_interval = std::chrono::milliseconds(100);
constexpr std::size_t state_fields = 12;

void write_state_fields(RpcWriter& writer, const RepairWork::Surroundings& surroundings) {
  const dht::Repair::Progress progress = surroundings.node.repair_progress();
  const dht::Repair::Counters counters = surroundings.node.counters().repair;
  writer.text("equal").boolean(progress.is_equal());
  writer.text("filling").boolean(progress.is_filling);
  writer.text("counted").boolean(progress.is_counted);
  writer.text("peers").number(progress.peers);
  writer.text("peers_equal").number(progress.peers_equal);
  writer.text("peers_differing").number(progress.peers_differing);
  writer.text("peers_away").number(progress.peers_away);
  writer.text("descents").number(progress.descents_open);
  writer.text("records_repaired").number(counters.records_repaired);
  writer.text("bytes_sent").number(counters.bytes_sent);
  writer.text("bytes_fetched").number(counters.bytes_fetched);
  writer.text("waiting").map(2).text("handoff").number(progress.records_elsewhere);
  writer.text("outbox").number(surroundings.outbox);
}

}  // namespace

void RepairWork::begin(dht::Now now, const Waiting& from, const RepairCall& call, const Surroundings& surroundings) {
  if (call.is_now) surroundings.node.repair_now(now);
  const Job job{from, now.instant, now.instant + call.wait};
  if (call.wait == dht::Duration::zero()) return answer(now, job, surroundings);
  jobs_.push_back(job);
  next_look_ = now.instant;
}

void RepairWork::client_closed(ClientId client) {
  std::erase_if(jobs_, [&](const Job& job) { return job.from.client == client; });
  if (jobs_.empty()) next_look_.reset();
}

void RepairWork::on_deadline(dht::Now now, const Surroundings& surroundings) {
  if (!next_look_ || *next_look_ > now.instant) return;
  const bool is_equal = surroundings.node.repair_progress().is_equal();
  std::erase_if(jobs_, [&](const Job& job) {
    const bool is_over = is_equal || job.until <= now.instant;
    if (is_over) {
      answer(now, job, surroundings);
    } else {
      responder_.notify(job.from, "progress", state_fields,
                        [&](RpcWriter& writer) { write_state_fields(writer, surroundings); });
    }
    return is_over;
  });
  next_look_ = jobs_.empty() ? std::nullopt : std::optional(now.instant + look_interval);
}

void RepairWork::answer(dht::Now now, const Job& job, const Surroundings& surroundings) {
  responder_.respond(job.from, [&](RpcWriter& writer) {
    writer.map(state_fields + 1);
    write_state_fields(writer, surroundings);
    writer.text("took_ms").real(milliseconds(now.instant - job.began));
  });
}

}  // namespace kith::daemon
