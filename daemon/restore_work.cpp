// SPDX-License-Identifier: MIT
#include "daemon/restore_work.h"

#include <algorithm>
#include <utility>

#include "crypto/bytes.h"

namespace kith::daemon {
namespace {

constexpr dht::Duration look_interval = std::chrono::milliseconds(50);
constexpr dht::Duration record_patience = std::chrono::seconds(5);
constexpr int tries_max = 3;
// What is on its way at once: enough to fill commits, few enough that the puts of others pass.
constexpr std::size_t records_in_flight_max = 64;
constexpr std::size_t bytes_in_flight_max = 2U << 20;
constexpr std::size_t records_per_read = 64;

// The record itself is at fault, and others may be whole.
bool is_of_record(dht::ErrorCode code) {
  using enum dht::ErrorCode;
  return code == invalid || code == denied || code == clock_skew || code == too_large;
}

bool may_pass(dht::ErrorCode code) {
  using enum dht::ErrorCode;
  return code == timeout || code == unavailable || code == indeterminate;
}

dht::Error other_mesh(const store::SnapshotFile& file, const std::string& mesh) {
  return {dht::ErrorCode::denied, "the snapshot is of mesh " + crypto::to_hex(file.facts().mesh.id).substr(0, 8) +
                                      " and this node belongs to " + mesh.substr(0, 8) +
                                      "; restore it into a home of its own: kith --home NEW restore FILE"};
}

}  // namespace

void RestoreWork::begin(dht::Now now, const Waiting& from, RestoreCall call) {
  const bool is_abandoned = !job_ && opening_.valid();
  if (is_abandoned && opening_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) opening_ = {};
  if (!is_idle()) {
    return responder_.fail(from, {dht::ErrorCode::unavailable, "a restore is under way; wait until it is done"});
  }
  opening_ = std::async(std::launch::async, [path = call.file] { return store::SnapshotFile::open(path); });
  failure_.reset();
  job_ = Job{.from = from, .call = std::move(call), .began = now.instant, .next_look = now.instant + look_interval};
}

void RestoreWork::client_closed(ClientId client) {
  if (job_ && job_->from.client == client) abandon({});
}

// What is on its way completes for nobody.
void RestoreWork::abandon(const dht::Error& error) {
  if (job_ && !error.message.empty()) responder_.fail(job_->from, error);
  job_.reset();
  in_flight_.clear();
  bytes_in_flight_ = 0;
}

std::optional<dht::Instant> RestoreWork::next_deadline() const {
  return job_ ? std::optional(job_->next_look) : std::nullopt;
}

void RestoreWork::advance(dht::Now now, const Surroundings& surroundings) {
  if (opening_.valid() && !open()) {
    if (job_) job_->next_look = now.instant + look_interval;
    return;
  }
  if (!job_) return;
  if (!surroundings.room && !failure_) failure_ = surroundings.room.error();
  if (!failure_) bring_more(now, surroundings);
  if (failure_) return stop(*failure_);
  if (job_->is_read && job_->waiting.empty() && in_flight_.empty()) return answer(now);
  if (job_->next_look > now.instant) return;
  job_->next_look = now.instant + look_interval;
  responder_.notify(job_->from, "progress", 3, [&](RpcWriter& writer) {
    writer.text("done").number(job_->done + job_->refused).text("total").number(job_->file->records());
    writer.text("place").number(static_cast<std::uint64_t>(place()));
  });
}

// True when the file is open, or will not be.
bool RestoreWork::open() {
  if (opening_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return false;
  dht::Result<store::SnapshotFile> opened = opening_.get();
  if (!job_) return true;
  if (!opened) {
    failure_ = opened.error();
  } else if (crypto::to_hex(opened->facts().mesh.id) != job_->call.mesh) {
    failure_ = other_mesh(*opened, job_->call.mesh);
  } else {
    job_->file.emplace(std::move(*opened));
    job_->read_to = job_->call.after;
  }
  return true;
}

void RestoreWork::bring_more(dht::Now now, const Surroundings& surroundings) {
  while (in_flight_.size() < records_in_flight_max && bytes_in_flight_ < bytes_in_flight_max) {
    if (job_->waiting.empty() && !read_more()) return;
    Brought next = std::move(job_->waiting.back());
    job_->waiting.pop_back();
    ask(now, surroundings, std::move(next));
  }
}

// False when there is nothing more to read.
bool RestoreWork::read_more() {
  if (job_->is_read) return false;
  auto page = job_->file->records_after(job_->read_to, records_per_read);
  if (!page) {
    failure_ = page.error();
    return false;
  }
  job_->is_read = page->empty();
  if (page->empty()) return false;
  job_->read_to = page->back().row;
  std::ranges::reverse(*page);  // taken from the back
  for (auto& stored : *page) job_->waiting.push_back({std::move(stored)});
  return true;
}

void RestoreWork::ask(dht::Now now, const Surroundings& surroundings, Brought brought) {
  brought.tries += 1;
  bytes_in_flight_ += brought.stored.record.size();
  const dht::RestoreRequest request{.record = brought.stored.record, .deadline = record_patience};
  in_flight_.emplace(surroundings.host.restore(now, request, surroundings.out), std::move(brought));
}

void RestoreWork::completed(const dht::Completion& completion) {
  const auto found = in_flight_.extract(completion.ticket);
  Brought& brought = found.mapped();
  bytes_in_flight_ -= brought.stored.record.size();
  if (const auto* error = std::get_if<dht::Error>(&completion.outcome)) return on_failure(std::move(brought), *error);
  job_->done += 1;
  const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome);
  if (receipt != nullptr && receipt->copies + receipt->hints == 0) job_->waiting_here += 1;
}

void RestoreWork::on_failure(Brought brought, const dht::Error& error) {
  if (is_of_record(error.code)) {
    job_->refused += 1;
    if (job_->first_refusal.empty()) job_->first_refusal = error.message;
    return;
  }
  if (!failure_ && (!may_pass(error.code) || brought.tries == tries_max)) failure_ = error;
  job_->waiting.push_back(std::move(brought));
}

// Everything up to here has been brought, or refused for ever.
std::int64_t RestoreWork::place() const {
  std::int64_t place = job_->read_to;
  for (const auto& [ticket, brought] : in_flight_) place = std::min(place, brought.stored.row - 1);
  for (const Brought& brought : job_->waiting) place = std::min(place, brought.stored.row - 1);
  return place;
}

void RestoreWork::stop(dht::Error error) {
  if (job_->file) {
    error.message += "; " + std::to_string(job_->done) + " of " + std::to_string(job_->file->records()) +
                     " records were brought: go on with --after " + std::to_string(place());
  }
  abandon(error);
}

void RestoreWork::answer(dht::Now now) {
  const Job job = std::move(*job_);
  job_.reset();
  responder_.respond(job.from, [&](RpcWriter& writer) {
    writer.map(job.refused > 0 ? 8 : 7).text("node").text(dht::to_text(job.file->facts().node));
    writer.text("taken_ms").number(job.file->facts().taken_ms);
    writer.text("records").number(job.file->records());
    writer.text("done").number(job.done).text("refused").number(job.refused);
    writer.text("waiting").number(job.waiting_here);
    if (job.refused > 0) writer.text("first_refusal").name(job.first_refusal);
    writer.text("took_ms").real(milliseconds(now.instant - job.began));
  });
}

}  // namespace kith::daemon
