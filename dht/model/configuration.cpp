// SPDX-License-Identifier: MIT
#include "dht/model/configuration.h"

#include <tuple>

#include "dht/model/limits.h"
#include "dht/model/prefix.h"

namespace kith::dht {

namespace {

constexpr std::size_t head_bytes = 1 + 8 + 1 + 1;
constexpr std::size_t voter_bytes = 32 + 8;

constexpr int step_bits = 32;
constexpr int drawn_bits = 16;

Prefix prefix_of(Shard shard) { return {1, std::uint64_t{shard} << (64 - shard_bits)}; }
static_assert(shard_bits == 4, "a shard is one digit of the hash");

void append(crypto::Bytes& bytes, const std::vector<Voter>& voters) {
  for (const Voter& voter : voters) {
    bytes.insert(bytes.end(), voter.node.bytes.begin(), voter.node.bytes.end());
    bytes.resize(bytes.size() + 8);
    crypto::store_be64(bytes.data() + bytes.size() - 8, voter.tag);
  }
}

std::vector<Voter> read_voters(crypto::ByteSpan& bytes, std::size_t count) {
  std::vector<Voter> voters(count);
  for (Voter& voter : voters) {
    std::copy_n(bytes.begin(), voter.node.bytes.size(), voter.node.bytes.begin());
    voter.tag = crypto::load_be64(bytes.data() + voter.node.bytes.size());
    bytes = bytes.subspan(voter_bytes);
  }
  return voters;
}

bool names_each_once(std::vector<Voter> voters) {
  std::ranges::sort(voters);
  return std::ranges::adjacent_find(voters, {}, &Voter::node) == voters.end();
}

}  // namespace

Shard shard_of(const KeyHash& key) { return key.bytes.front() >> (8 - shard_bits); }
KeyHash first_key_of(Shard shard) { return prefix_of(shard).first_key(); }
KeyHash last_key_of(Shard shard) { return prefix_of(shard).last_key(); }

bool Configuration::has_voter(const Voter& voter) const {
  return std::ranges::find(members, voter) != members.end() || std::ranges::find(old, voter) != old.end();
}

std::vector<Voter> Configuration::voters() const {
  std::vector<Voter> all = members;
  std::ranges::copy_if(old, std::back_inserter(all),
                       [&](const Voter& voter) { return std::ranges::find(members, voter) == members.end(); });
  return all;
}

bool is_later(const Configuration& a, const Configuration& b) {
  return std::tie(a.epoch, a.members, a.old) > std::tie(b.epoch, b.members, b.old);
}

Lineage lineage_of(const Configuration& configuration) { return configuration.epoch >> step_bits; }

bool was_just_forced(const Configuration& configuration) {
  return lineage_of(configuration) != 0 && lineage_of(configuration) << step_bits == configuration.epoch;
}

std::uint64_t forced_epoch(const Configuration& known, std::uint16_t drawn) {
  const std::uint64_t forced = (lineage_of(known) >> drawn_bits) + 1;
  return (forced << drawn_bits | drawn) << step_bits;
}

crypto::Bytes encode(const Configuration& configuration) {
  crypto::Bytes bytes(head_bytes);
  bytes[0] = configuration.shard;
  crypto::store_be64(&bytes[1], configuration.epoch);
  bytes[9] = static_cast<std::uint8_t>(configuration.members.size());
  bytes[10] = static_cast<std::uint8_t>(configuration.old.size());
  append(bytes, configuration.members);
  append(bytes, configuration.old);
  return bytes;
}

std::optional<Configuration> read_configuration(crypto::ByteSpan bytes) {
  if (bytes.size() < head_bytes || bytes[0] >= shard_count) return std::nullopt;
  const std::size_t members = bytes[9];
  const std::size_t old = bytes[10];
  if (members == 0 || members > limits::voters_max || old > limits::voters_max) return std::nullopt;
  if (bytes.size() != head_bytes + (members + old) * voter_bytes) return std::nullopt;
  Configuration configuration{.shard = bytes[0], .epoch = crypto::load_be64(&bytes[1]), .members = {}, .old = {}};
  if (configuration.epoch == 0 || configuration.epoch >> 62U != 0) return std::nullopt;
  crypto::ByteSpan rest = bytes.subspan(head_bytes);
  configuration.members = read_voters(rest, members);
  configuration.old = read_voters(rest, old);
  if (!names_each_once(configuration.members) || !names_each_once(configuration.old)) return std::nullopt;
  return configuration;
}

}  // namespace kith::dht
