// SPDX-License-Identifier: MIT
// A coordinator at work for its client, between replicas that answer as the test says.
#pragma once

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include "dht/replication/coordinator.h"
#include "tests/support/replication.h"

namespace kith::test {

using namespace dht;

// A device that coordinates for its client; node(2) and node(3) are the other replicas.
struct Desk : Bench {
  explicit Desk(std::string name) : key(std::move(name)) { author.begin_run(rng, now.wall_ms); }

  Ticket ask(PutRequest request) {
    if (request.key.empty()) request.key = key;
    Turn at = turn();
    return coordinator.put(at, std::move(request));
  }

  // Commits, and hands the node what it said to itself.
  void commit() {
    store.commit();
    for (const Send& send : std::exchange(out.sends, {})) {
      if (send.to == neighbours.self()) {
        reply(node(1), send.message.request_id, send.message.body);
      } else {
        sent.push_back(send);
      }
    }
  }

  void reply(const NodeId& from, std::uint64_t request, const Body& body) {
    const auto answered = requests.answer(now.instant, from, request);
    REQUIRE(answered);
    Turn at = turn();
    coordinator.on_reply(at, from, answered->owner, body);
  }

  // What others were asked since the last look, by kind.
  template <typename Kind>
  std::vector<Send> asked() {
    commit();
    std::vector<Send> found;
    std::erase_if(sent, [&](const Send& send) {
      const bool is_it = std::holds_alternative<Kind>(send.message.body);
      if (is_it) found.push_back(send);
      return is_it;
    });
    return found;
  }

  // Every replica that was asked says that it holds these, and so many bytes of the namespace, where that was asked.
  void answer_reads(const Rows& rows, std::uint64_t usage = 0) {
    for (std::vector<Send> fetches = asked<Fetch>(); !fetches.empty(); fetches = asked<Fetch>()) {
      for (const Send& send : fetches) {
        FetchAnswer answer{.status = rows.empty() ? FetchStatus::absent : FetchStatus::found,
                           .digest = digest_of(rows, data_key),
                           .records = {}};
        const bool wants_records = std::get<Fetch>(send.message.body).form == FetchForm::records;
        for (const Row& row : rows) {
          if (wants_records) answer.records.push_back(row.record.bytes());
        }
        FetchReply fetched;
        fetched.answers.push_back(std::move(answer));
        if (!std::get<Fetch>(send.message.body).usage_of.empty()) fetched.usage = usage;
        reply(send.to, send.message.request_id, std::move(fetched));
      }
    }
  }

  void confirm_stores() {
    for (const Send& send : asked<Store>()) {
      if (std::get<Store>(send.message.body).purpose != StorePurpose::write) continue;
      StoreReply stored;
      stored.answers.push_back({.status = StoreStatus::stored, .reason = {}, .seen = {}});
      reply(send.to, send.message.request_id, std::move(stored));
    }
  }

  Receipt receipt() {
    confirm_stores();
    REQUIRE(out.completions.size() == 1);
    return std::get<Receipt>(std::exchange(out.completions, {}).front().outcome);
  }
  Error error() {
    commit();
    REQUIRE(out.completions.size() == 1);
    return std::get<Error>(std::exchange(out.completions, {}).front().outcome);
  }

  // The newest record of this author.
  Record own() { return store.read(hash_key(key)).rows.front().record; }

  std::string key;
  crypto::Rng rng{crypto::ByteArray<32>{7}};
  Replica replica{signatures, store, data_key};
  Policies policies{signatures};
  Coordinator coordinator{{}, data_key, {author, replica, policies}, rng.fork()};
  std::vector<Send> sent;
};

}  // namespace kith::test
