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
constexpr std::size_t key_of_a_chunk = 60;  // its value is read and checked
constexpr std::size_t range_of_keys = 10;   // a query for what is in it
constexpr std::size_t compared_node = 200;  // its partition's rows read and hashed
constexpr std::size_t item = 15;
constexpr std::size_t checked_record = 20;   // its signature, mostly
constexpr std::size_t checked_contact = 50;  // the same, and nobody sends many
constexpr std::size_t answered_bytes_per_us = 100;

struct WorkOfRequest {
  std::size_t operator()(const Fetch& fetch) const {
    const bool is_of_ranges = fetch.form == FetchForm::ranges;
    const std::size_t keys = is_of_ranges ? limits::range_keys_max : fetch.keys.size();
    if (fetch.form == FetchForm::ages) return any_request + key_of_a_chunk * keys;
    return any_request + stored_key * keys + range_of_keys * fetch.ranges.size();
  }
  std::size_t operator()(const Store& store) const { return any_request + checked_record * store.records.size(); }
  std::size_t operator()(const Scan&) const { return page_of_keys; }
  std::size_t operator()(const Members&) const { return page_of_members; }
  std::size_t operator()(const Join&) const { return page_of_members + checked_contact; }
  std::size_t operator()(const Compare& compare) const { return any_request + compared_node * compare.nodes.size(); }
  std::size_t operator()(const Items& items) const { return any_request + item * items.keys.size(); }
  std::size_t operator()(const PolicyQuery& query) const { return any_request + query.versions.size(); }
  std::size_t operator()(const Watch&) const { return page_of_keys; }
  std::size_t operator()(const Changed& changed) const { return any_request + stored_key * changed.keys.size(); }
  std::size_t operator()(const Prepare&) const { return any_request + stored_key; }
  std::size_t operator()(const Accept&) const { return any_request + checked_record; }
  std::size_t operator()(const Registers&) const { return stored_key * limits::registers_page_max; }
  std::size_t operator()(const Find&) const { return closest_contacts; }
  std::size_t operator()(const Reap& reap) const {
    std::size_t work = any_request + checked_record * reap.records.size();
    for (const ReapPartition& partition : reap.partitions) work += stored_key * (1 + partition.keys.size());
    return work;
  }
  template <typename Body>
  std::size_t operator()(const Body&) const {
    return any_request;
  }
};

std::size_t contacts_in(const std::vector<MemberUpdate>& claims) {
  return static_cast<std::size_t>(
      std::ranges::count_if(claims, [](const MemberUpdate& claim) { return !claim.contact.empty(); }));
}

std::size_t contacts_in(const Message& message) {
  const std::size_t told = contacts_in(message.gossip);
  if (const auto* page = std::get_if<MembersReply>(&message.body)) return told + contacts_in(page->members);
  if (const auto* found = std::get_if<FindReply>(&message.body)) return told + found->contacts.size();
  return told;
}

}  // namespace

std::size_t work_of(const Message& message) {
  const std::size_t request = is_reply(message.body) ? 0 : std::visit(WorkOfRequest{}, message.body);
  return request + checked_contact * contacts_in(message);
}

std::size_t work_of_answer(std::size_t bytes) { return bytes / answered_bytes_per_us; }

}  // namespace kith::dht
