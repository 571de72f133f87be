// SPDX-License-Identifier: MIT
// A daemon without sockets, clocks and disk: a node alone, whose commits happen when a turn ends.
#pragma once

#include <functional>
#include <map>
#include <string>

#include <catch2/catch.hpp>

#include "daemon/service.h"
#include "dht/model/memory_store.h"

namespace kith::test {

using namespace daemon;
using namespace std::chrono_literals;

using Params = std::function<void(RpcWriter&)>;

class ServiceDesk : public Clients, public Control {
 public:
  ServiceDesk() {
    host_.start(now, {}, out_);
    turn();
  }

  // Clients
  crypto::Bytes* output(ClientId client) override { return gone_ == client ? nullptr : &outputs_[client]; }
  std::size_t unsent_bytes(ClientId client) const override {
    const auto found = outputs_.find(client);
    return found == outputs_.end() ? 0 : found->second.size();
  }

  // Control
  dht::Host& host() override { return host_; }
  std::uint64_t host_number() const override { return host_number_; }
  dht::StoreTotals totals() const override { return store_.totals(); }
  ProcessFacts facts() const override {
    ProcessFacts facts;
    facts.mesh = "mesh";
    facts.durability = "full";
    return facts;
  }
  dht::Status accepts_writes() override { return write_status; }
  dht::Result<InviteText> invite() const override { return InviteText{"kith1x", {"127.0.0.1:1"}}; }
  dht::Result<Joined> join(dht::Now, const std::string& text, dht::HostOutputs&) override {
    if (text == "bad") return dht::Error{dht::ErrorCode::invalid, "no invite"};
    if (text == "of this mesh") return Joined{"mesh", 0};
    host_number_ += 1;
    if (text == "of a mesh that the disk refuses") return dht::Error{dht::ErrorCode::storage, "the disk refused"};
    return Joined{"other", 3};
  }
  dht::Status leave(dht::Now, dht::HostOutputs&) override { return host_.leave(now, out_); }
  dht::Status stay(dht::Now, dht::HostOutputs&) override {
    host_.stay(now, out_);
    return dht::Done{};
  }
  void on_event(const dht::Event& event) override { events.push_back(event.kind); }
  void stop() override { stopped = true; }
  dht::Status begin_snapshot(const std::string& file) override {
    if (file == "/full") return dht::Error{dht::ErrorCode::quota, "no room"};
    snapshot_progress = {.state = kith::store::SnapshotProgress::State::copying, .bytes_done = 1, .bytes_total = 4};
    return dht::Done{};
  }
  kith::store::SnapshotProgress snapshot() const override { return snapshot_progress; }
  void abandon_snapshot() override { snapshot_progress = {}; }

  void ask(std::uint32_t id, std::string_view method, const Params& params, ClientId client = 1) {
    crypto::Bytes bytes;
    RpcWriter writer(bytes);
    params(writer.request(id, method));
    RpcReader reader(RpcLimits{});
    REQUIRE(reader.read(bytes) == RpcRead::message);
    service.request(now, client, reader.message(), out_);
    service.settle(now, out_);
  }

  // Commits what was written and lets out what waited for it.
  void turn() {
    store_.commit();
    host_.end_turn(++batch_);
    host_.committed(now, batch_, out_);
    service.settle(now, out_);
    out_ = {};
  }
  void drained(ClientId client = 1) { service.client_drained(now, client, out_); }
  void tell(dht::EventKind kind) {
    out_.events.push_back({kind, {}, {}});
    service.settle(now, out_);
  }
  void disconnect(ClientId client) {
    gone_ = client;
    service.client_closed(client);
  }

  // How many messages a client has received since the last time, each given to `look`.
  int receive(
      const std::function<void(const RpcMessage&)>& look = [](const RpcMessage&) {}, ClientId client = 1) {
    const crypto::Bytes bytes = std::exchange(outputs_[client], {});
    RpcReader reader({.message_bytes = 16U << 20, .elements = 1U << 20});
    int count = 0;
    for (std::size_t at = 0; at < bytes.size(); at += reader.consumed(), ++count) {
      REQUIRE(reader.read(crypto::ByteSpan(bytes).subspan(at)) == RpcRead::message);
      look(reader.message());
    }
    return count;
  }

  dht::Now now{dht::Instant{1000s}, 1'790'000'000'000};
  // Lets time pass, and what is due happen.
  void wait(dht::Duration duration) {
    now.instant += duration;
    service.on_deadline(now, out_);
    service.settle(now, out_);
  }

  kith::store::SnapshotProgress snapshot_progress;
  dht::Status write_status = dht::Done{};
  bool stopped = false;
  std::vector<dht::EventKind> events;

 private:
  dht::MemoryStore store_;
  dht::Host host_{{}, crypto::NodeKeys::from_seed(crypto::Secret<32>()), {}, store_, {}};
  std::uint64_t host_number_ = 1;
  std::map<ClientId, crypto::Bytes> outputs_;
  ClientId gone_ = 0;
  dht::HostOutputs out_;
  std::uint64_t batch_ = 0;

 public:
  Service service{*this, *this};
};

inline Params key(std::string_view name) {
  return [name](RpcWriter& w) { w.map(1).text("key").text(name); };
}
inline Params item(std::string_view name, std::string_view value) {
  return [name, value](RpcWriter& w) { w.map(2).text("key").text(name).text("value").text(value); };
}
inline const Params nothing = [](RpcWriter& w) { w.map(0); };

inline std::string code_of(const RpcMessage& message) { return std::string(message.error["code"].text().value_or("")); }

inline std::string value_in(const RpcValue& result) {
  std::string value;
  result["values"].for_each([&](const RpcValue& each) {
    const auto bytes = each["value"].bytes();
    value.assign(bytes->begin(), bytes->end());
  });
  return value;
}

}  // namespace kith::test
