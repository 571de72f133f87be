// SPDX-License-Identifier: MIT
#include "dht/replication/chunk_search.h"

#include <algorithm>

#include "dht/replication/quorum.h"
#include "dht/replication/references.h"

namespace kith::dht {

void ChunkSearch::start(Turn& turn) {
  for (std::size_t place = 0; place < terms_.keys.size(); ++place) {
    const ReplicaSet& set = turn.neighbours.replica_set(partition_of(terms_.keys[place]));
    found_[place].wanted = static_cast<int>(set.replicas.size());
    found_[place].needed = static_cast<int>(capped(terms_.w, set.replicas.size()));
    for (const NodeId& node : set.replicas) {
      if (node == turn.neighbours.self()) continue;
      turn.neighbours.is_usable(node) ? add_to_question(node, place) : void(found_[place].away += 1);
    }
    look_here(turn, place);
  }
  waiting_ = questions_.size();
  for (std::size_t slot = 0; slot < questions_.size(); ++slot) ask(turn, slot);
}

void ChunkSearch::look_here(Turn& turn, std::size_t place) {
  if (turn.neighbours.is_held_back()) return;
  const bool is_kept = is_replica(turn.neighbours, partition_of(terms_.keys[place]));
  const KeyRows& held = turn.store.peek(terms_.keys[place]);
  if (held.is_damaged || held.is_unread) return;
  found_[place].copies += is_kept && is_young(last_written(held.rows, &Row::is_replica)) ? 1 : 0;
  found_[place].is_own = is_young(last_written(held.rows, &Row::is_own));
}

void ChunkSearch::add_to_question(const NodeId& node, std::size_t place) {
  const auto has_room = [&](const Question& each) {
    return each.node == node && each.places.size() < limits::chunks_asked_max;
  };
  auto question = std::ranges::find_if(questions_, has_room);
  if (question == questions_.end()) question = questions_.insert(question, {.node = node, .places = {}});
  question->places.push_back(place);
}

void ChunkSearch::ask(Turn& turn, std::size_t slot) {
  const Question& question = questions_[slot];
  Fetch fetch{.form = FetchForm::ages, .keys = {}};
  for (const std::size_t place : question.places) fetch.keys.push_back(terms_.keys[place]);
  const RequestTerms terms{.to = question.node,
                           .owner = {RequestOwner::Kind::chunks, terms_.ticket, slot},
                           .round_trip = turn.neighbours.round_trip(question.node),
                           .deadline = terms_.deadline};
  turn.requests.ask(turn.now, terms, {.to = question.node, .message = {.body = std::move(fetch)}}, turn.out);
}

void ChunkSearch::on_answer(std::size_t slot, const FetchReply& reply) {
  waiting_ -= 1;
  const std::vector<std::size_t>& places = questions_[slot].places;
  if (reply.answers.size() != places.size()) return;
  for (std::size_t i = 0; i < places.size(); ++i) {
    found_[places[i]].copies += is_young(reply.answers[i].written) ? 1 : 0;
  }
}

// What is here may have been written in this turn.
std::optional<Completion> ChunkSearch::take_completion(Instant now) {
  if (is_answered_ || (waiting_ > 0 && now < terms_.deadline)) return std::nullopt;
  is_answered_ = true;
  return Completion{.ticket = terms_.ticket,
                    .outcome = ChunksAnswer{.chunks = std::move(found_), .took = now - terms_.began},
                    .partial = {},
                    .release = Release::after_commit};
}

}  // namespace kith::dht
