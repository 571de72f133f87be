// SPDX-License-Identifier: MIT
// Where peers may be: as they say themselves (contacts), as somebody told this node (seeds), and as they have proven
// (the path of a session). What is proven comes first, then the operator's word, for a contact may be out of date.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <unordered_map>

#include "dht/model/contact.h"
#include "dht/model/limits.h"
#include "dht/model/mesh.h"
#include "dht/road.h"

namespace kith::dht {

class AddressBook {
 public:
  // Remembers how to reach a node that is no member yet, up to limits::seeds_max of them.
  void add(const Seed& seed) {
    const auto node = node_id_of(seed.signing_key);
    if (seeds_.size() < limits::seeds_max || seeds_.contains(node)) seeds_.insert_or_assign(node, seed);
  }

  // What the roads have learnt of a peer.
  struct Known {
    const crypto::PeerIdentity* identity = nullptr;
    std::optional<Endpoint> path;
  };

  // Empty for a node whose keys nobody knows.
  std::optional<PeerAddress> find(const NodeId& node, const Contact* contact, const Known& known) const {
    const auto seed = seeds_.find(node);
    PeerAddress address{.node = node, .identity = {}, .endpoints = {}, .incarnation = 0};
    if (contact != nullptr) {
      address.identity = {contact->signing_key, contact->exchange_key};
    } else if (seed != seeds_.end()) {
      address.identity = {seed->second.signing_key, seed->second.exchange_key};
    } else if (known.identity != nullptr) {
      address.identity = *known.identity;
    } else {
      return std::nullopt;
    }
    if (known.path) add_all({&*known.path, 1}, address);
    if (seed != seeds_.end()) add_all(seed->second.endpoints, address);
    if (contact != nullptr) {
      add_all(contact->endpoints, address);
      address.incarnation = contact->incarnation;
    }
    return address;
  }

 private:
  static void add_all(std::span<const Endpoint> endpoints, PeerAddress& address) {
    auto& all = address.endpoints;
    for (const auto& endpoint : endpoints) {
      if (all.size() >= limits::endpoints_per_contact) return;
      if (std::find(all.begin(), all.end(), endpoint) == all.end()) all.push_back(endpoint);
    }
  }

  std::unordered_map<NodeId, Seed> seeds_;
};

}  // namespace kith::dht
