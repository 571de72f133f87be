// SPDX-License-Identifier: MIT
#include "dht/replication/bundles.h"

#include <algorithm>
#include <map>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {

namespace {

using Road = std::pair<NodeId, FetchForm>;

// The fetch, where it is one that a bundle may hold.
const Fetch* single_fetch(const Send& send, const NodeId& self) {
  const auto* fetch = std::get_if<Fetch>(&send.message.body);
  if (fetch == nullptr || send.message.request_id == 0 || send.release != Release::at_once || send.to == self)
    return nullptr;
  const bool is_plain = is_for_read(fetch->form) && fetch->usage_of.empty();
  return is_plain && fetch->keys.size() == 1 ? fetch : nullptr;
}

}  // namespace

void Bundles::pack(Instant now, const NodeId& self, std::size_t first_send, Outputs& out) {
  if (out.sends.size() < first_send + 2) return;
  std::map<Road, std::vector<std::size_t>> gathered;
  for (std::size_t i = first_send; i < out.sends.size(); ++i) {
    const Fetch* fetch = single_fetch(out.sends[i], self);
    if (fetch == nullptr) continue;
    std::vector<std::size_t>& members = gathered[{out.sends[i].to, fetch->form}];
    members.push_back(i);
    if (members.size() == limits::bundle_keys_max) put_together(now, std::exchange(members, {}), out);
  }
  for (const auto& [road, members] : gathered) put_together(now, members, out);
  const auto is_taken_in = [](const Send& send) {
    const auto* fetch = std::get_if<Fetch>(&send.message.body);
    return fetch != nullptr && fetch->keys.empty() && fetch->ranges.empty();
  };
  const auto first = out.sends.begin() + static_cast<std::ptrdiff_t>(first_send);
  out.sends.erase(std::remove_if(first, out.sends.end(), is_taken_in), out.sends.end());
}

// The first takes the others in, and leaves them without keys.
void Bundles::put_together(Instant now, const std::vector<std::size_t>& members, Outputs& out) {
  if (members.size() < 2) return;
  Send& carrier = out.sends[members.front()];
  auto& fetch = std::get<Fetch>(carrier.message.body);
  Bundle bundle{.to = carrier.to, .left = now, .form = fetch.form, .requests = {carrier.message.request_id}};
  for (std::size_t i = 1; i < members.size(); ++i) {
    Message& member = out.sends[members[i]].message;
    bundle.requests.push_back(member.request_id);
    auto& keys = std::get<Fetch>(member.body).keys;
    fetch.keys.push_back(keys.front());
    keys.clear();
  }
  carrier.message.request_id = remember(std::move(bundle));
}

std::uint64_t Bundles::remember(Bundle bundle) {
  std::uint64_t id = rng_.u64();
  while (id == 0 || waiting_.contains(id)) id = rng_.u64();
  waiting_.emplace(id, std::move(bundle));
  order_.push_back(id);
  if (order_.size() > limits::bundles_max) {
    waiting_.erase(order_.front());
    order_.pop_front();
  }
  return id;
}

std::optional<Bundle> Bundles::take(const NodeId& from, std::uint64_t request_id) {
  const auto found = waiting_.find(request_id);
  if (found == waiting_.end() || found->second.to != from) return std::nullopt;
  Bundle bundle = std::move(found->second);
  waiting_.erase(found);
  return bundle;
}

bool is_left_out(FetchForm form, const FetchAnswer& answer) {
  return form == FetchForm::records && answer.status == FetchStatus::found && answer.records.empty();
}

// Where an answer holds no record at all, nothing was left out for want of room: else a node that claims and never
// gives would be asked without end.
std::vector<BundledAnswer> take_apart(const Bundle& bundle, const Body& body) {
  std::vector<BundledAnswer> parts;
  const auto* reply = std::get_if<FetchReply>(&body);
  const bool is_answer = reply != nullptr && reply->answers.size() == bundle.requests.size();
  const bool gives_some = is_answer && std::ranges::any_of(reply->answers, [](const FetchAnswer& answer) {
                            return !answer.records.empty();
                          });
  for (std::size_t i = 0; i < bundle.requests.size(); ++i) {
    BundledAnswer part{.request = bundle.requests[i], .body = Unsupported{}};
    if (is_answer) {
      const FetchAnswer& answer = reply->answers[i];
      part.was_left_out = gives_some && is_left_out(bundle.form, answer);
      part.body = FetchReply{{answer}};
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace kith::dht
