// SPDX-License-Identifier: MIT
#include "dht/replication/listing.h"

#include <algorithm>

#include "dht/replication/references.h"

namespace kith::dht {

ScanReply without_spares(ScanReply page, Neighbours& neighbours, RecordStore& store) {
  std::erase_if(page.keys, [&](const std::string& key) {
    const KeyHash hash = hash_key(key);
    const std::vector<NodeId>& replicas = neighbours.replica_set(partition_of(hash)).replicas;
    const bool is_elsewhere = std::ranges::find(replicas, neighbours.self()) == replicas.end();
    return is_elsewhere && are_spare(store.read(hash).rows);
  });
  return page;
}

ScanReply own_page(Turn& turn, const Scan& scan, Replica& replica) {
  ScanReply page = without_spares(replica.scan(turn.now.wall_ms, scan), turn.neighbours, turn.store);
  if (scan.only_manifests) {
    std::erase_if(page.keys, [&](const std::string& key) { return !refers_to_chunks(turn, key); });
  }
  return page;
}

void Listing::start(Turn& turn, const ScanReply& own_page) {
  std::size_t slot = 0;
  for (const NodeId& node : turn.neighbours.usable_members()) {
    asked_ += 1;
    waiting_ += 1;
    if (node == turn.neighbours.self()) continue;
    const RequestTerms terms{.to = node,
                             .owner = {RequestOwner::Kind::listing, terms_.ticket, ++slot},
                             .round_trip = turn.neighbours.round_trip(node),
                             .deadline = terms_.deadline};
    turn.requests.ask(turn.now, terms, {.to = node, .message = {.body = terms_.scan}}, turn.out);
  }
  on_answer(own_page);
}

// A page that leads nowhere would be asked for again and again.
void Listing::on_answer(const ScanReply& reply) {
  if (reply.next && terms_.scan.after && *reply.next <= *terms_.scan.after) return on_silence();
  waiting_ -= 1;
  replies_ += 1;
  for (const std::string& key : reply.keys) {
    const KeyHash hash = hash_key(key);
    const bool is_wanted = key.starts_with(terms_.scan.prefix) && (!terms_.scan.after || *terms_.scan.after < hash);
    if (is_wanted) keys_.emplace(hash, key);
  }
  if (reply.next) horizon_ = horizon_ ? std::min(*horizon_, *reply.next) : *reply.next;
}

std::optional<Completion> Listing::take_completion(Instant now) {
  if (answered_ || (waiting_ > 0 && now < terms_.deadline)) return std::nullopt;
  answered_ = true;
  ScanAnswer answer{.keys = {}, .next = horizon_, .members_asked = asked_, .members_answered = replies_};
  for (auto& [hash, key] : keys_) {
    if (horizon_ && *horizon_ < hash) break;
    if (answer.keys.size() == terms_.scan.count) {
      answer.next = hash_key(answer.keys.back());
      break;
    }
    answer.keys.push_back(std::move(key));
  }
  return Completion{
      .ticket = terms_.ticket, .outcome = std::move(answer), .partial = {}, .release = Release::after_commit};
}

}  // namespace kith::dht
