// SPDX-License-Identifier: MIT
#include "tests/sim/device.h"

#include <algorithm>

namespace kith::sim {

namespace {

constexpr dht::WallMs epoch_ms = 1'700'000'000'000;

}  // namespace

Device::Device(std::size_t index, const Options& options, Queue& queue, Surroundings& surroundings, crypto::Rng rng)
    : index_(index),
      options_(options),
      queue_(queue),
      surroundings_(surroundings),
      rng_(std::move(rng)),
      signatures_(index, options.planted == Planted::unchecked_signatures ? Checking::off : Checking::on),
      id_(dht::node_id_of(signatures_.signing_key())) {
  const auto spread = static_cast<std::uint64_t>(options.clock_offset_max.count() / 1000);
  clock_offset_ms_ = static_cast<std::int64_t>(rng_.below(2 * spread + 1)) - static_cast<std::int64_t>(spread);
}

dht::Endpoint Device::endpoint_of(std::size_t index) {
  dht::Endpoint endpoint;
  endpoint.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0};
  endpoint.address[14] = static_cast<std::uint8_t>(index >> 8U);
  endpoint.address[15] = static_cast<std::uint8_t>(index);
  endpoint.port = 5484;
  return endpoint;
}

dht::Now Device::now() const {
  const auto elapsed_ms = queue_.now().time_since_epoch().count() / 1000;
  return {queue_.now(), static_cast<dht::WallMs>(static_cast<std::int64_t>(epoch_ms) + elapsed_ms + clock_offset_ms_)};
}

void Device::boot() {
  dht::NodeOptions options;
  options.data_key.fill(7);
  options.name = "device";
  options.n = options_.n;
  options.r = options_.r;
  options.w = options_.w;
  boots_ += 1;
  up_since_ = queue_.now();
  node_ = std::make_unique<dht::Node>(options, signatures_, store_, rng_.bytes<32>());
  dht::Outputs out;
  const std::array endpoints{endpoint_of(index_)};
  node_->start(now(), endpoints, out);
  take(std::move(out));
}

void Device::crash() {
  node_.reset();
  held_ = {};
  commit_scheduled_ = false;
  armed_for_.reset();
  store_.crash();
  if (options_.planted == Planted::forgotten_own_row) forget_own_rows();
}

// A defect on purpose: what the author wrote is gone, and the run goes on as if it were not.
void Device::forget_own_rows() {
  std::optional<dht::KeyHash> after;
  do {
    const dht::ScanPage page = store_.scan(after, "", 100);
    for (const std::string& key : page.keys) {
      dht::Rows rows = store_.read(dht::hash_key(key)).rows;
      std::erase_if(rows, [](const dht::Row& row) { return row.is_own; });
      store_.replace(dht::hash_key(key), std::move(rows));
    }
    after = page.next;
  } while (after);
  store_.commit();
}

void Device::join(const std::vector<dht::NodeId>& seeds) {
  dht::Outputs out;
  node_->join(now(), seeds, out);
  take(std::move(out));
}

void Device::receive(const dht::NodeId& from, const dht::Message& message) {
  if (!is_up()) return;
  dht::Outputs out;
  node_->receive(now(), from, message, out);
  take(std::move(out));
}

dht::Ticket Device::put(dht::PutRequest request) {
  dht::Outputs out;
  const dht::Ticket ticket = node_->put(now(), std::move(request), out);
  queue_.after({}, [this, boot = boots_, out = std::make_shared<dht::Outputs>(std::move(out))] {
    if (is_up() && boots_ == boot) take(std::move(*out));
  });
  return ticket;
}

dht::Ticket Device::get(const dht::GetRequest& request) {
  dht::Outputs out;
  const dht::Ticket ticket = node_->get(now(), request, out);
  queue_.after({}, [this, boot = boots_, out = std::make_shared<dht::Outputs>(std::move(out))] {
    if (is_up() && boots_ == boot) take(std::move(*out));
  });
  return ticket;
}

bool Device::leaves_at_once(const dht::Send& send) const {
  if (send.release == dht::Release::at_once || options_.planted == Planted::acknowledge_before_commit) return true;
  return options_.planted == Planted::store_before_own_commit && std::holds_alternative<dht::Store>(send.message.body);
}

// What needs no commit leaves; the rest joins what the next commit will let out.
void Device::take(dht::Outputs out) {
  dht::Outputs at_once;
  for (dht::Send& send : out.sends) (leaves_at_once(send) ? at_once : held_).sends.push_back(std::move(send));
  for (dht::Completion& completion : out.completions) {
    (completion.release == dht::Release::at_once ? at_once : held_).completions.push_back(std::move(completion));
  }
  at_once.events = std::move(out.events);
  if (!commit_scheduled_) schedule_commit();
  release(at_once);
  arm();
}

void Device::release(dht::Outputs& out) {
  for (dht::Send& send : out.sends) surroundings_.send(index_, send.to, std::move(send.message));
  for (dht::Completion& completion : out.completions) surroundings_.completed(index_, std::move(completion));
  for (const dht::Event& event : out.events) surroundings_.happened(index_, event);
}

void Device::schedule_commit() {
  commit_scheduled_ = true;
  const auto spread = static_cast<std::uint64_t>((options_.commit_max - options_.commit_min).count() + 1);
  const dht::Duration delay = options_.commit_min + dht::Duration(static_cast<std::int64_t>(rng_.below(spread)));
  queue_.after(delay, [this, boot = boots_] {
    if (is_up() && boots_ == boot) commit();
  });
}

void Device::commit() {
  commit_scheduled_ = false;
  store_.commit();
  dht::Outputs out = std::exchange(held_, {});
  release(out);
}

void Device::arm() {
  const auto next = node_->next_deadline();
  if (!next || (armed_for_ && *armed_for_ <= *next && *armed_for_ > queue_.now())) return;
  armed_for_ = std::max(*next, queue_.now());
  queue_.at(*armed_for_, [this, boot = boots_] { wake(boot); });
}

void Device::wake(std::uint64_t boot) {
  if (!is_up() || boots_ != boot) return;
  armed_for_.reset();
  const auto next = node_->next_deadline();
  if (!next || *next > queue_.now()) return arm();
  dht::Outputs out;
  node_->on_deadline(now(), out);
  take(std::move(out));
}

}  // namespace kith::sim
