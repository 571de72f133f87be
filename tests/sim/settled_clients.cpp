// SPDX-License-Identifier: MIT
#include "tests/sim/settled_clients.h"

#include <algorithm>

namespace kith::sim {

namespace {

constexpr int keys_count = 8;
constexpr int rounds = 2;  // each key is written so often
constexpr int readers = 2;

}  // namespace

void SettledClients::schedule(dht::Instant start, dht::Duration length,
                              std::function<void(const std::string&)> on_written) {
  on_written_ = std::move(on_written);
  const dht::Duration interval = length / (rounds * keys_count);
  for (int i = 0; i < rounds * keys_count; ++i) {
    queue_.at(start + i * interval, [this, i] {
      write(fmt::format("default/settled-{}", i % keys_count), static_cast<std::uint8_t>(i + 1));
    });
  }
}

std::vector<std::string> SettledClients::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, number] : last_) keys.push_back(key);
  return keys;
}

Device& SettledClients::any_device() {
  const std::vector<std::size_t> members = mesh_.members();
  return mesh_.at(members[rng_.below(members.size())]);
}

void SettledClients::write(const std::string& key, std::uint8_t number) {
  Device& device = any_device();
  if (!device.is_up() || mesh_.is_liar(device.index())) return;
  dht::PutRequest request;
  request.key = key;
  request.value = {number};
  last_[key] = number;
  asked_[{device.index(), device.put(std::move(request))}] = {.key = key, .number = number};
}

void SettledClients::read(const std::string& key, std::uint8_t number) {
  Device& device = any_device();
  if (!device.is_up()) return;
  dht::GetRequest request;
  request.key = key;
  asked_[{device.index(), device.get(request)}] = {.key = key, .number = number, .is_read = true};
}

bool SettledClients::complete(std::size_t device, const dht::Completion& completion) {
  const auto found = asked_.extract({device, completion.ticket});
  if (found.empty()) return false;
  const Asked& asked = found.mapped();
  if (const auto* answer = std::get_if<dht::ReadAnswer>(&completion.outcome)) check(asked, device, *answer);
  const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome);
  if (receipt == nullptr) return true;
  on_written_(asked.key);
  if (receipt->hints > 0) return true;
  for (int i = 0; i < readers; ++i) {
    queue_.after({}, [this, key = asked.key, number = asked.number] { read(key, number); });
  }
  return true;
}

void SettledClients::check(const Asked& asked, std::size_t device, const dht::ReadAnswer& answer) {
  if (answer.degraded) return;
  findings_.look(Invariant::quorums_meet);
  std::uint8_t newest = 0;
  for (const dht::ReadValue& value : answer.values) {
    if (value.kind == dht::EntryKind::value) newest = std::max(newest, value.bytes.front());
  }
  if (newest >= asked.number) return;
  findings_.add({Invariant::quorums_meet}, fmt::format("device {} reads write {} of {}, and {} was acknowledged before",
                                                       device, newest, asked.key, asked.number));
}

}  // namespace kith::sim
