// SPDX-License-Identifier: MIT
#include "dht/peer_budget.h"

#include <algorithm>

namespace kith::dht {
namespace {

constexpr std::size_t any_request = 5;
constexpr std::size_t closest_contacts = 30;
constexpr std::size_t page_of_members = 300;  // that of a mesh of a thousand
constexpr std::size_t page_of_keys = 2500;    // a thousand names looked at, to find a few
constexpr std::size_t stored_key = 3;
constexpr std::size_t compared_node = 200;  // its partition's rows read and hashed
constexpr std::size_t item = 15;
constexpr std::size_t checked_record = 20;   // its signature, mostly
constexpr std::size_t checked_contact = 20;  // the same

struct Work {
  std::size_t operator()(const Fetch& fetch) const { return any_request + stored_key * fetch.keys.size(); }
  std::size_t operator()(const Store& store) const { return any_request + checked_record * store.records.size(); }
  std::size_t operator()(const Scan&) const { return page_of_keys; }
  std::size_t operator()(const Members&) const { return page_of_members; }
  std::size_t operator()(const Join&) const { return page_of_members + checked_contact; }
  std::size_t operator()(const Compare& compare) const { return any_request + compared_node * compare.nodes.size(); }
  std::size_t operator()(const Items& items) const { return any_request + item * items.keys.size(); }
  std::size_t operator()(const Find&) const { return closest_contacts; }
  template <typename Body>
  std::size_t operator()(const Body&) const {
    return any_request;
  }
};

}  // namespace

std::size_t work_of(const Message& message) {
  if (is_reply(message.body)) return 0;
  const auto contacts = std::ranges::count_if(message.gossip, [](const auto& claim) { return !claim.contact.empty(); });
  return std::visit(Work{}, message.body) + checked_contact * static_cast<std::size_t>(contacts);
}

}  // namespace kith::dht
