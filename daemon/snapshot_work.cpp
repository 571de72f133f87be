// SPDX-License-Identifier: MIT
#include "daemon/snapshot_work.h"

#include <utility>

namespace kith::daemon {
namespace {

constexpr dht::Duration look_interval = std::chrono::milliseconds(50);

}  // namespace

void notify_progress(Responder& responder, const Waiting& to, std::uint64_t done, std::uint64_t total) {
  responder.notify(to, "progress", 2,
                   [&](RpcWriter& writer) { writer.text("done").number(done).text("total").number(total); });
}

void SnapshotWork::begin(dht::Now now, const Waiting& from, const std::string& file) {
  if (job_) {
    return responder_.fail(from, {dht::ErrorCode::unavailable,
                                  "a snapshot is being made already, at " + job_->file + "; wait until it is done"});
  }
  if (const dht::Status begun = source_.begin_snapshot(file); !begun) return responder_.fail(from, begun.error());
  job_ = Job{from, file, now.instant, now.instant + look_interval};
}

void SnapshotWork::client_closed(ClientId client) {
  if (!job_ || job_->from.client != client) return;
  source_.abandon_snapshot();
  job_.reset();
}

std::optional<dht::Instant> SnapshotWork::next_deadline() const {
  return job_ ? std::optional(job_->next_look) : std::nullopt;
}

void SnapshotWork::on_deadline(dht::Now now) {
  if (!job_ || job_->next_look > now.instant) return;
  using State = store::SnapshotProgress::State;
  const store::SnapshotProgress progress = source_.snapshot();
  if (progress.state == State::copying || progress.state == State::finishing) {
    job_->next_look = now.instant + look_interval;
    return notify_progress(responder_, job_->from, progress.bytes_done, progress.bytes_total);
  }
  answer(now, progress);
  job_.reset();
}

void SnapshotWork::answer(dht::Now now, const store::SnapshotProgress& progress) {
  if (progress.failure) return responder_.fail(job_->from, *progress.failure);
  responder_.respond(job_->from, [&](RpcWriter& writer) {
    writer.map(3).text("file").name(job_->file).text("bytes").number(progress.bytes_total);
    writer.text("took_ms").real(milliseconds(now.instant - job_->began));
  });
}

}  // namespace kith::daemon
