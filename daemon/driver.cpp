// SPDX-License-Identifier: MIT
#include "daemon/driver.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include "daemon/log.h"
#include "daemon/notify.h"

namespace kith::daemon {
namespace {

constexpr int exit_io_error = 74;  // sysexits.h, EX_IOERR
constexpr dht::Duration stop_patience = std::chrono::seconds(4);
// Outputs may cause input at once (a stream that took all it was given); what is left after these waits one iteration.
constexpr int rounds_per_turn = 8;
// How many changed keys are worth a commit of their own within a turn, where the disk is quick.
constexpr std::size_t piece_keys = 32;

template <typename Handle>
uv_handle_t* as_handle(Handle& handle) {
  return reinterpret_cast<uv_handle_t*>(&handle);
}

// Networks come and go, and a device may be switched on before its own is up.
constexpr std::uint64_t addresses_interval_ms = 5000;

template <typename Handle>
Driver& driver_of(Handle* handle) {
  return *static_cast<Driver*>(handle->data);
}

dht::Now read_clocks() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
  return {dht::Instant(dht::Duration(uv_hrtime() / 1000)),
          static_cast<dht::WallMs>(std::max<std::int64_t>(wall_ms, 0))};
}

bool has_outputs(const dht::HostOutputs& out) {
  return !(out.datagrams.empty() && out.opens.empty() && out.writes.empty() && out.closes.empty() &&
           out.completions.empty() && out.changes.empty() && out.events.empty());
}

}  // namespace

Driver::Driver(uv_loop_t& loop, DriverOptions options, crypto::Rng rng)
    : loop_(loop), options_(std::move(options)), rng_(std::move(rng)), network_(loop, *this, *this) {
  uv_prepare_init(&loop_, &before_poll_);
  uv_check_init(&loop_, &after_poll_);
  uv_idle_init(&loop_, &idle_);
  uv_timer_init(&loop_, &timer_);
  uv_timer_init(&loop_, &addresses_timer_);
  uv_async_init(&loop_, &progress_, [](uv_async_t* handle) { driver_of(handle).collect(); });
  for (uv_signal_t* signal : {&terminate_, &interrupt_, &hang_up_}) {
    uv_signal_init(&loop_, signal);
    signal->data = this;
  }
  before_poll_.data = after_poll_.data = idle_.data = timer_.data = addresses_timer_.data = progress_.data = this;
}

Driver::~Driver() = default;

// ---- life

dht::Status Driver::start() {
  started_ = turn_now().instant;
  auto home = Home::open({.folder = options_.folder,
                          .storage = options_.config.storage,
                          .wall_ms = turn_now().wall_ms,
                          .on_progress = [this] { uv_async_send(&progress_); }},
                         rng_);
  if (!home) return home.error();
  home_ = std::move(*home);
  if (dht::Status status = network_.listen(options_.config.network); !status) return status;
  auto server = SocketServer::open(loop_, options_.socket, *this);
  if (!server) return server.error();
  server_ = std::move(*server);
  service_ = std::make_unique<Service>(static_cast<Control&>(*this), *server_);
  if (dht::Status status = enter_configured(); !status) return status;
  make_host();
  start_host();
  if (dht::Status status = join_configured(); !status) return status;
  if (options_.config.network.discovery) {
    discovery_ = std::make_unique<Discovery>(loop_, static_cast<Discovery::Handler&>(*this), rng_.fork());
    announce();
  }
  start_watching();
  notify_manager(options_.notify_socket, "READY=1");
  return dht::Done{};
}

void Driver::start_watching() {
  const auto stop = [](uv_signal_t* handle, int) { driver_of(handle).stop(); };
  uv_signal_start(&terminate_, stop, SIGTERM);
  uv_signal_start(&interrupt_, stop, SIGINT);
  uv_signal_start(
      &hang_up_, [](uv_signal_t* handle, int) { driver_of(handle).options_.reload(); }, SIGHUP);
  const auto refresh = [](uv_timer_t* handle) { driver_of(handle).refresh_endpoints(); };
  uv_timer_start(&addresses_timer_, refresh, addresses_interval_ms, addresses_interval_ms);
  // Both sides of the poll: timers fire before it, everything else in it.
  uv_prepare_start(&before_poll_, [](uv_prepare_t* handle) { driver_of(handle).finish_turn(); });
  uv_check_start(&after_poll_, [](uv_check_t* handle) { driver_of(handle).finish_turn(); });
}

int Driver::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  notify_manager(options_.notify_socket, "STOPPING=1");
  return exit_code_;
}

dht::Status Driver::end() {
  dht::Status closed = dht::Done{};
  if (home_) closed = home_->database().close();
  if (has_left_) home_->forget_run();
  close();
  uv_run(&loop_, UV_RUN_DEFAULT);
  return closed;
}

void Driver::stop() {
  if (stop_by_ || exit_code_ != 0) return;
  log_info("stopping: what is under way is finished first");
  stop_by_ = turn_now().instant + stop_patience;
  server_->stop_reading();
}

bool Driver::may_stop(dht::Instant now) {
  if (!stop_by_) return false;
  if (*stop_by_ <= now) return true;
  return service_->tickets_open() == 0 && committed_ >= submitted_ && !server_->has_unsent();
}

void Driver::close() {
  if (server_) server_->close();
  if (discovery_) discovery_->close();
  network_.close();
  for (uv_handle_t* handle : {as_handle(before_poll_), as_handle(after_poll_), as_handle(idle_), as_handle(timer_),
                              as_handle(addresses_timer_), as_handle(progress_), as_handle(terminate_),
                              as_handle(interrupt_), as_handle(hang_up_)}) {
    uv_close(handle, nullptr);
  }
}

// ---- input

dht::Now Driver::turn_now() {
  if (!now_) now_ = read_clocks();
  is_dirty_ = true;
  return *now_;
}

void Driver::on_datagram(const dht::Endpoint& from, crypto::ByteSpan bytes) {
  host_->receive_datagram(turn_now(), from, bytes, out_);
}

void Driver::on_accepted(dht::StreamId stream, const dht::Endpoint& from) {
  host_->stream_accepted(turn_now(), stream, from, out_);
}

void Driver::on_connected(dht::StreamId stream) { host_->stream_connected(turn_now(), stream, out_); }

void Driver::on_received(dht::StreamId stream, crypto::ByteSpan bytes) {
  host_->stream_received(turn_now(), stream, bytes, out_);
}

void Driver::on_drained(dht::StreamId stream, std::size_t unsent_bytes) {
  host_->stream_drained(turn_now(), stream, unsent_bytes, out_);
}

void Driver::on_closed(dht::StreamId stream) { host_->stream_closed(turn_now(), stream, out_); }

void Driver::on_request(ClientId client, const RpcMessage& message) {
  if (exit_code_ != 0) return;  // the disk failed: nothing is promised any more
  const dht::Now now = turn_now();
  service_->request(now, client, message, out_);
  // What is answered at once counts as unread before the client's next request is looked at.
  service_->settle(now, out_);
  if (!pace_.is_quick() || home_->database().keys_changed() < piece_keys) return;
  hand_over();
  collect();
}

void Driver::on_drained(ClientId client) { service_->client_drained(turn_now(), client, out_); }

void Driver::on_client_closed(ClientId client) {
  if (service_) service_->client_closed(client);
}

// The store committed, or failed.
void Driver::collect() {
  if (!home_ || !host_) return;
  turn_now();
  const store::Progress progress = home_->database().collect();
  committed_ = std::max(committed_, progress.committed);
  pace_.committed(committed_, read_clocks().instant);
  if (progress.failure) fail(*progress.failure);
}

// Whether what was written last is on the disk is unknown, so nothing more is acknowledged. The next start finds out.
void Driver::fail(const dht::Error& error) {
  if (exit_code_ != 0) return;
  log_error("stopping: a commit failed, and nothing after it was acknowledged", {{"cause", error.message}});
  exit_code_ = exit_io_error;
  service_->fail_all({dht::ErrorCode::storage, "the daemon stops: " + error.message});
  server_->flush();
  uv_stop(&loop_);
}

// Looked up once a turn: it costs a system call.
dht::Status Driver::accepts_writes() {
  if (!accepts_writes_) accepts_writes_ = home_->database().accepts_writes();
  return *accepts_writes_;
}

// ---- a turn

void Driver::finish_turn() {
  for (int round = 0; is_dirty_ && round < rounds_per_turn && exit_code_ == 0; ++round) turn();
  const dht::Instant now = now_ ? now_->instant : read_clocks().instant;
  now_.reset();
  accepts_writes_.reset();
  if (may_stop(now)) return uv_stop(&loop_);
  arm_timer();
  arm_idle();
}

void Driver::turn() {
  const dht::Now now = turn_now();
  is_dirty_ = false;
  if (const auto due = host_->next_deadline(); due && *due <= now.instant) host_->on_deadline(now, out_);
  service_->on_deadline(now, out_);
  host_->committed(now, committed_, out_);
  service_->settle(now, out_);

  hand_over();
  // A turn that wrote nothing may have asked for what is durable already.
  if (submitted_ <= committed_) host_->committed(now, committed_, out_);
  is_dirty_ = is_dirty_ || !out_.completions.empty() || !out_.changes.empty() || !out_.events.empty();
  carry_out();
  server_->flush();
  is_dirty_ = is_dirty_ || has_outputs(out_);
}

// What was written so far goes to the storage thread, and what promises it waits for that commit.
void Driver::hand_over() {
  submitted_ = home_->database().submit();
  host_->end_turn(submitted_);
  pace_.submitted(submitted_, read_clocks().instant);
}

// Carrying out is input too: a connection that fails at once, or took all it was given, makes the host say more. That
// gathers in out_ for the next round.
void Driver::carry_out() {
  leaving_.datagrams.swap(out_.datagrams);
  leaving_.opens.swap(out_.opens);
  leaving_.writes.swap(out_.writes);
  leaving_.closes.swap(out_.closes);
  network_.carry_out(leaving_);
  leaving_.datagrams.clear();
  leaving_.opens.clear();
  leaving_.writes.clear();
  leaving_.closes.clear();
}

void Driver::arm_timer() {
  std::optional<dht::Instant> next = host_->next_deadline();
  const auto sooner = [&](const std::optional<dht::Instant>& other) {
    if (other && (!next || *other < *next)) next = other;
  };
  sooner(service_->next_deadline());
  sooner(stop_by_);
  if (next == armed_for_) return;
  armed_for_ = next;
  if (!next) {
    uv_timer_stop(&timer_);
    return;
  }
  uv_update_time(&loop_);
  const auto wait = std::max(*next - read_clocks().instant, dht::Duration::zero());
  const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  const auto fire = [](uv_timer_t* handle) {
    driver_of(handle).armed_for_.reset();
    driver_of(handle).turn_now();
  };
  uv_timer_start(&timer_, fire, static_cast<std::uint64_t>(wait_ms), 0);
}

// Keeps the loop from waiting while there is work that needs no input.
void Driver::arm_idle() {
  const bool has_work = is_dirty_ || service_->has_idle_work();
  if (!has_work) {
    uv_idle_stop(&idle_);
    return;
  }
  uv_idle_start(&idle_, [](uv_idle_t* handle) {
    Driver& driver = driver_of(handle);
    driver.service_->step(driver.turn_now());
  });
}

}  // namespace kith::daemon
