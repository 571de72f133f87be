// SPDX-License-Identifier: MIT
#include "daemon/leave_work.h"

#include "dht/consensus/configurations.h"

namespace kith::daemon {
namespace {

using Stage = dht::Leaving::Stage;

constexpr dht::Duration look_interval = std::chrono::milliseconds(100);
constexpr std::size_t state_fields = 6;
constexpr std::size_t names_told_max = 16;

std::string_view word_of(Stage stage) {
  if (stage == Stage::member) return "member";
  return stage == Stage::leaving ? "leaving" : "left";
}

// Shards of strong namespaces about which this node decides still.
std::uint64_t count_shards(const dht::Node& node) {
  std::uint64_t count = 0;
  for (std::size_t shard = 0; shard < dht::shard_count; ++shard) {
    const dht::Configuration* known = node.configurations().of(static_cast<dht::Shard>(shard));
    if (known != nullptr && known->has_voter(node.configurations().self())) count += 1;
  }
  return count;
}

void write_state_fields(RpcWriter& writer, const dht::Node& node) {
  const dht::LeaveProgress progress = node.leave_progress();
  writer.text("stage").text(word_of(progress.stage));
  writer.text("counted").boolean(progress.is_counted);
  writer.text("records").number(progress.records);
  writer.text("outbox").number(progress.outbox);
  writer.text("shards").number(count_shards(node));
  const std::size_t count = std::min(progress.waits_for.size(), names_told_max);
  writer.text("waits_for").array(count);
  for (std::size_t i = 0; i < count; ++i) {
    const dht::Contact* contact = node.contact(progress.waits_for[i]);
    writer.map(2).text("node").text(dht::to_text(progress.waits_for[i]));
    writer.text("name").name(contact == nullptr ? "" : contact->name);
  }
}

}  // namespace

void LeaveWork::begin(dht::Now now, const Waiting& from, const LeaveCall& call, const dht::Node& node) {
  const Job job{from, now.instant, now.instant + call.wait};
  if (call.is_cancel || call.wait == dht::Duration::zero()) return answer(now, job, node);
  jobs_.push_back(job);
  next_look_ = now.instant;
}

void LeaveWork::client_closed(ClientId client) {
  std::erase_if(jobs_, [&](const Job& job) { return job.from.client == client; });
  if (jobs_.empty()) next_look_.reset();
}

void LeaveWork::look(dht::Now now, const dht::Node& node) {
  if (jobs_.empty()) return;
  const bool is_over_for_all = node.leave_progress().stage != Stage::leaving;
  std::erase_if(jobs_, [&](const Job& job) {
    const bool is_over = is_over_for_all || job.until <= now.instant;
    if (is_over) {
      answer(now, job, node);
    } else {
      responder_.notify(job.from, "progress", state_fields,
                        [&](RpcWriter& writer) { write_state_fields(writer, node); });
    }
    return is_over;
  });
  next_look_ = jobs_.empty() ? std::nullopt : std::optional(now.instant + look_interval);
}

void LeaveWork::answer(dht::Now now, const Job& job, const dht::Node& node) {
  responder_.respond(job.from, [&](RpcWriter& writer) {
    writer.map(state_fields + 1);
    write_state_fields(writer, node);
    writer.text("took_ms").real(milliseconds(now.instant - job.began));
  });
}

}  // namespace kith::daemon
