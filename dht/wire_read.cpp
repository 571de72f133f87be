// SPDX-License-Identifier: MIT
#include "dht/wire.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <msgpack.hpp>

#include "dht/model/limits.h"
#include "dht/wire_codes.h"
#include "dht/wire_consensus.h"
#include "dht/wire_fields.h"
#include "dht/wire_members.h"
#include "dht/wire_policy.h"
#include "dht/wire_reap.h"
#include "dht/wire_trie.h"

namespace kith::dht {
namespace {

using wire::Fields;

bool read_body(const Fields& in, Ping& out) {
  return in.take("i", out.incarnation) && in.take("h", out.heartbeat) && in.take("v", out.view_digest) &&
         in.take("s", out.store_digest) && in.take_flag("w", out.asks_time) &&
         in.take_if_there("n", out.policy_digest) && in.take_if_there("c", out.configuration_digest);
}

bool read_body(const Fields& in, PingReply& out) {
  return in.take("i", out.incarnation) && in.take("h", out.heartbeat) && in.take("v", out.view_digest) &&
         in.take("s", out.store_digest) && in.take_if_there("w", out.wall_ms) &&
         in.take_if_there("n", out.policy_digest) && in.take_if_there("c", out.configuration_digest);
}

bool read_body(const Fields& in, Probe& out) { return in.take("n", out.node); }

bool read_body(const Fields& in, ProbeReply& out) {
  return in.take("n", out.node) && in.take_if_there("a", out.heard_ms_ago);
}

bool read_body(const Fields&, Gossip&) { return true; }
bool read_body(const Fields& in, Join& out) { return in.take("c", out.contact); }

bool read_body(const Fields& in, Members& out) {
  std::optional<crypto::Bytes> digests;
  if (!in.take("a", out.after) || !in.take_if_there("d", digests)) return false;
  return !digests || wire::read_member_digests(*digests, out.digests.emplace());
}

bool read_body(const Fields& in, MembersReply& out) {
  std::optional<crypto::Bytes> ranges;
  return in.take_list("m", out.members, limits::batch_items_max) && in.take_if_there("n", out.next) &&
         in.take_if_there("p", out.usual_s) && in.take_if_there("d", ranges) &&
         (!ranges || wire::read_member_ranges(*ranges, out.ranges.emplace()));
}

bool read_body(const Fields& in, Find& out) { return in.take("t", out.target) && in.take("c", out.count); }
bool read_body(const Fields& in, FindReply& out) { return in.take_list("c", out.contacts, limits::contacts_per_reply); }

bool read_body(const Fields& in, Fetch& out) {
  if (!in.take_enum("f", out.form, FetchForm::ages) || !in.take_if_there("n", out.usage_of)) return false;
  if (out.usage_of.size() > limits::namespace_bytes_max) return false;
  if (out.form != FetchForm::ranges) return in.take_list("k", out.keys, limits::batch_items_max);
  crypto::Bytes ranges;
  return in.take("r", ranges) && wire::read_key_ranges(ranges, out.ranges);
}

bool read_body(const Fields& in, FetchReply& out) {
  std::optional<crypto::Bytes> digests;
  std::optional<crypto::Bytes> ages;
  if (!in.take_if_there("d", digests) || !in.take_if_there("w", ages) || !in.take_if_there("l", out.load) ||
      !in.take_if_there("n", out.usage))
    return false;
  const bool has_answers = digests ? wire::read_digests(*digests, limits::batch_items_max, out.answers)
                                   : in.take_list("a", out.answers, limits::batch_items_max);
  return has_answers && (!ages || wire::read_ages(*ages, out.answers));
}

bool read_body(const Fields& in, Store& out) {
  return in.take_enum("p", out.purpose, StorePurpose::repair) &&
         in.take_list("r", out.records, limits::batch_items_max) && in.take_if_there("h", out.hint) &&
         in.take_flag("m", out.is_write_back);
}

bool read_body(const Fields& in, StoreReply& out) { return in.take_list("a", out.answers, limits::batch_items_max); }

bool read_body(const Fields& in, Scan& out) {
  return in.take("p", out.prefix) && in.take_if_there("a", out.after) && in.take("c", out.count) &&
         in.take_flag("m", out.only_manifests) && out.count <= limits::batch_items_max;
}

bool read_body(const Fields& in, ScanReply& out) {
  return in.take_list("k", out.keys, limits::batch_items_max) && in.take_if_there("n", out.next);
}

bool read_body(const Fields& in, Compare& out) {
  crypto::Bytes nodes;
  return in.take("s", out.salt) && in.take("n", nodes) && wire::read_nodes(nodes, limits::compare_nodes_max, out.nodes);
}

bool read_body(const Fields& in, CompareReply& out) {
  if (!in.take_list_if_there("r", out.records, limits::batch_items_max)) return false;
  crypto::Bytes nodes;
  crypto::Bytes differences;
  return in.take_flag("l", out.is_put_off) && in.take_if_there("n", nodes) && in.take_if_there("d", differences) &&
         wire::read_nodes(nodes, 16 * limits::compare_nodes_max, out.nodes) &&
         wire::read_differences(differences, out.differences);
}

bool read_body(const Fields& in, Items& out) {
  crypto::Bytes keys;
  return in.take("k", keys) && in.take_if_there("a", out.after) &&
         wire::read_key_beginnings(keys, limits::items_keys_max, out.keys);
}

bool read_body(const Fields& in, ItemsReply& out) {
  return in.take_list("r", out.records, limits::batch_items_max) && in.take_flag("m", out.is_cut);
}

bool read_body(const Fields& in, Reap& out) {
  crypto::Bytes partitions;
  return in.take_enum("s", out.step, ReapStep::commit) && in.take_if_there("p", partitions) &&
         wire::read_reap_partitions(partitions, out.partitions) &&
         in.take_list_if_there("r", out.records, limits::batch_items_max);
}

bool read_body(const Fields& in, ReapReply& out) {
  static constexpr std::size_t keys_max = limits::reap_partitions_max * limits::reap_keys_max;
  crypto::Bytes verdicts;
  crypto::Bytes kept;
  return in.take("v", verdicts) && wire::read_reap_verdicts(verdicts, out.verdicts) && in.take_if_there("k", kept) &&
         wire::read_key_beginnings(kept, keys_max, out.kept);
}

bool read_body(const Fields& in, Reaped& out) { return in.take_if_there("a", out.after) && in.take("t", out.since_ms); }

bool read_body(const Fields& in, ReapedReply& out) {
  crypto::Bytes marks;
  return in.take("m", marks) && wire::read_reaped_marks(marks, out.marks) && in.take_if_there("n", out.next);
}

bool read_body(const Fields& in, PolicyQuery& out) {
  crypto::Bytes versions;
  return in.take("v", versions) && wire::read_policy_versions(versions, out.versions);
}

bool read_body(const Fields& in, PolicyReply& out) {
  return in.take_list("r", out.records, limits::namespaces_heard_max);
}

bool take_ballot(const Fields& in, const char* name, Ballot& out) {
  crypto::Bytes bytes;
  return in.take(name, bytes) && wire::read_ballot(bytes, out);
}

bool read_answer(const Fields& in, VoteAnswer& out) {
  if (!in.take_enum("v", out.vote, Vote::refused)) return false;
  switch (out.vote) {
    case Vote::granted:
      return true;
    case Vote::outbid:
      return take_ballot(in, "p", out.promised);
    case Vote::fenced:
      return in.take("c", out.configuration);
    case Vote::no_voter:
      return in.take("t", out.voter);
    case Vote::refused:
      return in.take_enum("e", out.reason, ErrorCode::internal);
  }
  return false;
}

bool read_body(const Fields& in, Prepare& out) {
  return in.take("c", out.configuration) && in.take("t", out.voter) && in.take_if_there("k", out.key) &&
         take_ballot(in, "b", out.ballot);
}

bool read_body(const Fields& in, PrepareReply& out) {
  crypto::Bytes accepted;
  if (!read_answer(in, out.answer) || !in.take_if_there("a", accepted)) return false;
  return accepted.empty() || (wire::read_ballot(accepted, out.accepted) && in.take("r", out.value));
}

bool read_body(const Fields& in, Accept& out) {
  return in.take("c", out.configuration) && in.take("t", out.voter) && in.take_if_there("k", out.key) &&
         take_ballot(in, "b", out.ballot) && in.take("r", out.value);
}

bool read_body(const Fields& in, AcceptReply& out) { return read_answer(in, out.answer); }
bool read_body(const Fields& in, Registers& out) {
  return in.take("c", out.configuration) && in.take("t", out.voter) && in.take_if_there("a", out.after);
}

bool read_body(const Fields& in, RegistersReply& out) {
  crypto::Bytes registers;
  return read_answer(in, out.answer) && in.take("l", registers) &&
         wire::read_register_versions(registers, out.registers) && in.take_if_there("n", out.next);
}

bool read_body(const Fields& in, ConfigurationQuery& out) {
  return in.take_list("e", out.epochs, shard_count) && out.epochs.size() == shard_count && in.take("t", out.voter);
}

bool read_body(const Fields& in, ConfigurationReply& out) {
  return in.take_list("l", out.configurations, shard_count) && in.take("t", out.voter);
}

bool read_body(const Fields& in, Watch& out) {
  return in.take("s", out.subscription) && in.take("t", out.target) && out.target.size() <= limits::key_bytes_max &&
         in.take_flag("p", out.is_prefix);
}

bool read_body(const Fields& in, WatchReply& out) { return in.take("i", out.instance); }

bool read_body(const Fields& in, Changed& out) {
  std::vector<std::string> keys;
  std::vector<VersionVector> versions;
  const bool is_read = in.take("s", out.subscription) && in.take_list("k", keys, limits::changes_told_max) &&
                       in.take_list("v", versions, limits::changes_told_max) && in.take_flag("w", out.is_whole) &&
                       in.take_flag("a", out.is_anew);
  if (!is_read || keys.size() != versions.size()) return false;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out.keys.push_back({.key = std::move(keys[i]), .version = std::move(versions[i])});
  }
  return true;
}

bool read_body(const Fields& in, ChangedReply& out) { return in.take_flag("w", out.is_wanted); }

bool read_body(const Fields& in, Lease& out) {
  return in.take("k", out.key) && out.key.size() <= limits::key_bytes_max && in.take("r", out.reads) &&
         in.take("s", out.spread);
}

bool read_body(const Fields& in, LeaseReply& out) {
  return in.take_list("l", out.records, limits::batch_items_max) && in.take("a", out.age_ms) &&
         in.take("s", out.spread) && in.take_if_there("o", out.load);
}

bool read_body(const Fields& in, LeaseNotice& out) { return in.take("k", out.key) && in.take("s", out.spread); }

bool read_body(const Fields&, Unsupported&) { return true; }

using BodyReader = bool (*)(const Fields& in, Body& out);

template <std::size_t Index>
bool read_alternative(const Fields& in, Body& out) {
  return read_body(in, out.emplace<Index>());
}

// One reader for each alternative of Body, in its order.
template <std::size_t... Indices>
constexpr std::array<BodyReader, sizeof...(Indices)> readers(std::index_sequence<Indices...>) {
  return {&read_alternative<Indices>...};
}
constexpr auto body_readers = readers(std::make_index_sequence<std::variant_size_v<AnyBody>>{});

struct Header {
  wire::Kind kind;
  wire::Method method;
  std::uint64_t request_id;
};

// Exactly the one-way messages have no id.
std::optional<Header> read_header(crypto::ByteSpan bytes) {
  if (bytes.size() < wire::header_bytes) return std::nullopt;
  if (bytes[0] < static_cast<std::uint8_t>(wire::Kind::request)) return std::nullopt;
  if (bytes[0] > static_cast<std::uint8_t>(wire::Kind::one_way)) return std::nullopt;
  const Header header{static_cast<wire::Kind>(bytes[0]), static_cast<wire::Method>(bytes[1]),
                      crypto::load_be64(&bytes[2])};
  const bool is_one_way = header.kind == wire::Kind::one_way;
  return is_one_way == (header.request_id == 0) ? std::optional(header) : std::nullopt;
}

// msgpack's defaults would take four billion of each. The scan has already held the bytes to our own, tighter ones.
bool unpack(crypto::ByteSpan bytes, msgpack::zone& zone, msgpack::object& out) {
  const auto refer = [](msgpack::type::object_type, std::size_t, void*) { return true; };
  const msgpack::unpack_limit limit(limits::batch_items_max, limits::batch_items_max, limits::key_bytes_max,
                                    limits::record_bytes_max, 0, limits::wire_depth_max + 1);
  try {
    std::size_t offset = 0;
    bool is_referenced = false;
    out = msgpack::unpack(zone, reinterpret_cast<const char*>(bytes.data()), bytes.size(), offset, is_referenced, refer,
                          nullptr, limit);
  } catch (const msgpack::unpack_error&) {
    return false;
  }
  return true;
}

// The strings and bins of the object point into `bytes`, which outlive it here.
bool read_map(crypto::ByteSpan bytes, BodyReader read_fields, Message& out) {
  if (!wire::is_safe_map(bytes)) return false;
  msgpack::zone zone;
  msgpack::object object;
  if (!unpack(bytes, zone, object)) return false;
  const auto fields = Fields::of(object);
  return fields && read_fields(*fields, out.body) &&
         fields->take_list_if_there(wire::gossip_field, out.gossip, limits::batch_items_max);
}

}  // namespace

ReadResult read_message(crypto::ByteSpan bytes) {
  const auto header = read_header(bytes);
  if (!header) return Malformed{};
  const auto side = header->kind == wire::Kind::reply ? wire::Side::answers : wire::Side::asks;
  const auto code = std::find(wire::body_codes.begin(), wire::body_codes.end(), wire::BodyCode{header->method, side});
  const auto rest = bytes.subspan(wire::header_bytes);
  if (code == wire::body_codes.end()) {
    if (side == wire::Side::answers || !wire::is_safe_map(rest)) return Malformed{};
    return UnknownMethod{header->request_id};
  }
  Message message;
  message.request_id = header->request_id;
  const auto index = static_cast<std::size_t>(code - wire::body_codes.begin());
  if (!read_map(rest, body_readers[index], message)) return Malformed{};
  return message;
}

}  // namespace kith::dht
