// SPDX-License-Identifier: MIT
#include "dht/repair/weight.h"

namespace kith::dht {
namespace {

constexpr std::size_t headers = 28 + 32 + 10;  // IP and UDP, a session's packet, a message
constexpr std::size_t field = 7;

struct Weight {
  std::size_t operator()(const std::vector<TrieNode>& nodes) const {
    std::size_t bytes = 0;
    for (const TrieNode& node : nodes) bytes += 4 + 2 * node.digests.size();
    return bytes;
  }
  std::size_t operator()(const std::vector<crypto::Bytes>& records) const {
    std::size_t bytes = 0;
    for (const crypto::Bytes& record : records) bytes += 3 + record.size();
    return bytes;
  }
  std::size_t operator()(const Compare& compare) const { return 2 * field + (*this)(compare.nodes); }
  std::size_t operator()(const CompareReply& reply) const {
    std::size_t bytes = 2 * field + (*this)(reply.nodes);
    for (const KeysDifference& difference : reply.differences) {
      bytes += 5 + difference.lacking.size();
      for (const KeyVersions& key : difference.keys) bytes += 9 + 16 * key.rows.size();
    }
    return bytes + (*this)(reply.records);
  }
  std::size_t operator()(const Items& items) const {
    return field + 8 * items.keys.size() + (items.after ? field + 8 : 0);
  }
  std::size_t operator()(const ItemsReply& reply) const { return field + (*this)(reply.records); }
  std::size_t operator()(const Store& store) const { return 2 * field + (*this)(store.records); }
  template <typename Other>
  std::size_t operator()(const Other&) const {
    return 0;
  }
};

}  // namespace

std::size_t weight_of(const Body& body) { return headers + std::visit(Weight{}, body); }

}  // namespace kith::dht
