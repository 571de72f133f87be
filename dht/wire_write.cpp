// SPDX-License-Identifier: MIT
#include "dht/wire.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <msgpack.hpp>

#include "dht/model/limits.h"
#include "dht/wire_codes.h"
#include "dht/wire_consensus.h"
#include "dht/wire_members.h"
#include "dht/wire_policy.h"
#include "dht/wire_reap.h"
#include "dht/wire_trie.h"

namespace kith::dht {
namespace {

using crypto::Bytes;
using crypto::ByteSpan;

// What msgpack's packer writes to.
struct Sink {
  Bytes bytes;

  void write(const char* data, std::size_t size) { bytes.insert(bytes.end(), data, data + size); }
};

void pack(Sink& sink, std::uint64_t value) { msgpack::packer<Sink>(sink).pack_uint64(value); }

void pack(Sink& sink, ByteSpan bytes) {
  msgpack::packer<Sink> packer(sink);
  packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
  packer.pack_bin_body(reinterpret_cast<const char*>(bytes.data()), static_cast<std::uint32_t>(bytes.size()));
}

void pack(Sink& sink, const Bytes& bytes) { pack(sink, ByteSpan(bytes)); }
void pack(Sink& sink, const Id& id) { pack(sink, ByteSpan(id.bytes)); }
void pack(Sink& sink, const RowsDigest& digest) { pack(sink, ByteSpan(digest)); }
void pack(Sink& sink, const std::string& text) { pack(sink, crypto::as_bytes(text)); }

// One bin of (tag, seq) pairs: a context can have thousands, and an object for each would cost twice the bytes.
void pack(Sink& sink, const VersionVector& vector) {
  Bytes bytes(vector.entries().size() * 16);
  auto* at = bytes.data();
  for (const auto& entry : vector.entries()) {
    crypto::store_be64(at, entry.tag);
    crypto::store_be64(at + 8, entry.seq);
    at += 16;
  }
  pack(sink, bytes);
}

void pack(Sink& sink, const MemberUpdate& update);
void pack(Sink& sink, const FetchAnswer& answer);
void pack(Sink& sink, const StoreAnswer& answer);

template <typename T>
void pack(Sink& sink, const std::vector<T>& items) {
  msgpack::packer<Sink>(sink).pack_array(static_cast<std::uint32_t>(items.size()));
  for (const auto& item : items) pack(sink, item);
}

// A map under way. Its count stands in the one byte of a fixmap and rises with each field, so that whoever leaves a
// field out need not count. Requires: at most 15 fields.
class Map {
 public:
  explicit Map(Sink& sink) : sink_(sink), header_at_(sink.bytes.size()) { sink.bytes.push_back(0x80); }

  template <typename T>
  Map& field(std::string_view name, const T& value) {
    ++sink_.bytes[header_at_];
    msgpack::packer<Sink> packer(sink_);
    packer.pack_str(static_cast<std::uint32_t>(name.size()));
    packer.pack_str_body(name.data(), static_cast<std::uint32_t>(name.size()));
    pack(sink_, value);
    return *this;
  }

  template <typename T>
  Map& field(std::string_view name, const std::optional<T>& value) {
    return value ? field(name, *value) : *this;
  }

  Map& flag(std::string_view name, bool is_set) { return is_set ? field(name, std::uint64_t{1}) : *this; }

 private:
  Sink& sink_;
  std::size_t header_at_;
};

template <typename Enum>
std::uint64_t code(Enum value) {
  return static_cast<std::uint64_t>(value);
}

void pack(Sink& sink, const MemberUpdate& update) {
  Map map(sink);
  map.field("n", update.node).field("s", code(update.state)).field("i", update.incarnation);
  if (update.accuser != NodeId{}) map.field("a", update.accuser);
  if (!update.contact.empty()) map.field("c", update.contact);
  if (update.away_s > 0) map.field("w", std::uint64_t{update.away_s});
}

void pack(Sink& sink, const FetchAnswer& answer) {
  Map map(sink);
  map.field("s", code(answer.status)).field("d", answer.digest);
  if (!answer.records.empty()) map.field("r", answer.records);
}

void pack(Sink& sink, const StoreAnswer& answer) {
  Map map(sink);
  map.field("s", code(answer.status));
  if (answer.status == StoreStatus::refused) map.field("e", code(answer.reason));
  if (!answer.seen.is_empty()) map.field("v", answer.seen);
}

void write_body(const Ping& ping, Map& map) {
  map.field("i", ping.incarnation).field("h", ping.heartbeat).field("v", ping.view_digest);
  map.field("s", ping.store_digest);
  if (ping.asks_time) map.field("w", std::uint8_t{1});
  if (ping.policy_digest != 0) map.field("n", ping.policy_digest);
  if (ping.configuration_digest != 0) map.field("c", ping.configuration_digest);
}

void write_body(const PingReply& reply, Map& map) {
  map.field("i", reply.incarnation).field("h", reply.heartbeat).field("v", reply.view_digest);
  map.field("s", reply.store_digest).field("w", reply.wall_ms);
  if (reply.policy_digest != 0) map.field("n", reply.policy_digest);
  if (reply.configuration_digest != 0) map.field("c", reply.configuration_digest);
}

void write_body(const Probe& probe, Map& map) { map.field("n", probe.node); }
void write_body(const ProbeReply& reply, Map& map) { map.field("n", reply.node).field("a", reply.heard_ms_ago); }
void write_body(const Gossip&, Map&) {}
void write_body(const Join& join, Map& map) { map.field("c", join.contact); }

void write_body(const Members& members, Map& map) {
  map.field("a", members.after);
  if (members.digests) map.field("d", wire::member_digests_to_bytes(*members.digests));
}

void write_body(const MembersReply& reply, Map& map) {
  map.field("m", reply.members).field("n", reply.next);
  if (reply.usual_s > 0) map.field("p", std::uint64_t{reply.usual_s});
  if (reply.ranges) map.field("d", wire::member_ranges_to_bytes(*reply.ranges));
}

void write_body(const Find& find, Map& map) { map.field("t", find.target).field("c", std::uint64_t{find.count}); }
void write_body(const FindReply& reply, Map& map) { map.field("c", reply.contacts); }
void write_body(const Fetch& fetch, Map& map) {
  map.field("f", code(fetch.form));
  if (fetch.form != FetchForm::ranges) map.field("k", fetch.keys);
  if (fetch.form == FetchForm::ranges) map.field("r", wire::key_ranges_to_bytes(fetch.ranges));
  if (!fetch.usage_of.empty()) map.field("n", fetch.usage_of);
}
void write_body(const FetchReply& reply, Map& map) {
  const auto has_records = [](const FetchAnswer& answer) { return !answer.records.empty(); };
  if (std::ranges::any_of(reply.answers, has_records)) {
    map.field("a", reply.answers);
  } else {
    map.field("d", wire::digests_to_bytes(reply.answers));
  }
  const auto has_age = [](const FetchAnswer& answer) { return answer.written != 0; };
  if (std::ranges::any_of(reply.answers, has_age)) map.field("w", wire::ages_to_bytes(reply.answers));
  if (reply.load > 0) map.field("l", std::uint64_t{reply.load});
  if (reply.usage > 0) map.field("n", reply.usage);
}
void write_body(const Store& store, Map& map) {
  map.field("p", code(store.purpose)).field("r", store.records).field("h", store.hint);
  if (store.is_write_back) map.field("m", std::uint8_t{1});
}
void write_body(const StoreReply& reply, Map& map) { map.field("a", reply.answers); }

void write_body(const Scan& scan, Map& map) {
  map.field("p", scan.prefix).field("a", scan.after).field("c", std::uint64_t{scan.count});
  if (scan.only_manifests) map.field("m", std::uint8_t{1});
}

void write_body(const ScanReply& reply, Map& map) { map.field("k", reply.keys).field("n", reply.next); }
void write_body(const Compare& compare, Map& map) {
  map.field("s", std::uint64_t{compare.salt}).field("n", wire::nodes_to_bytes(compare.nodes));
}

void write_body(const CompareReply& reply, Map& map) {
  if (!reply.nodes.empty()) map.field("n", wire::nodes_to_bytes(reply.nodes));
  if (!reply.differences.empty()) map.field("d", wire::differences_to_bytes(reply.differences));
  if (reply.is_put_off) map.field("l", std::uint8_t{1});
  if (!reply.records.empty()) map.field("r", reply.records);
}

void write_body(const Items& items, Map& map) {
  map.field("k", wire::key_beginnings_to_bytes(items.keys)).field("a", items.after);
}

void write_body(const ItemsReply& reply, Map& map) {
  map.field("r", reply.records);
  if (reply.is_cut) map.field("m", std::uint8_t{1});
}

void write_body(const Reap& reap, Map& map) {
  map.field("s", code(reap.step));
  if (!reap.partitions.empty()) map.field("p", wire::reap_partitions_to_bytes(reap.partitions));
  if (!reap.records.empty()) map.field("r", reap.records);
}

void write_body(const ReapReply& reply, Map& map) {
  map.field("v", wire::reap_verdicts_to_bytes(reply.verdicts));
  if (!reply.kept.empty()) map.field("k", wire::key_beginnings_to_bytes(reply.kept));
}

void write_body(const Reaped& reaped, Map& map) { map.field("a", reaped.after).field("t", reaped.since_ms); }
void write_body(const ReapedReply& reply, Map& map) {
  map.field("m", wire::reaped_marks_to_bytes(reply.marks)).field("n", reply.next);
}
void write_body(const PolicyQuery& query, Map& map) { map.field("v", wire::policy_versions_to_bytes(query.versions)); }
void write_body(const PolicyReply& reply, Map& map) { map.field("r", reply.records); }

void write_answer(const VoteAnswer& answer, Map& map) {
  map.field("v", code(answer.vote));
  if (answer.vote == Vote::outbid) map.field("p", wire::ballot_to_bytes(answer.promised));
  if (answer.vote == Vote::fenced) map.field("c", answer.configuration);
  if (answer.vote == Vote::no_voter) map.field("t", answer.voter);
  if (answer.vote == Vote::refused) map.field("e", code(answer.reason));
}

void write_body(const Prepare& prepare, Map& map) {
  map.field("c", prepare.configuration).field("t", prepare.voter).field("k", prepare.key);
  map.field("b", wire::ballot_to_bytes(prepare.ballot));
}
void write_body(const PrepareReply& reply, Map& map) {
  write_answer(reply.answer, map);
  if (reply.accepted.is_none()) return;
  map.field("a", wire::ballot_to_bytes(reply.accepted)).field("r", reply.value);
}
void write_body(const Accept& accept, Map& map) {
  map.field("c", accept.configuration).field("t", accept.voter).field("k", accept.key);
  map.field("b", wire::ballot_to_bytes(accept.ballot)).field("r", accept.value);
}
void write_body(const AcceptReply& reply, Map& map) { write_answer(reply.answer, map); }
void write_body(const Registers& registers, Map& map) {
  map.field("c", registers.configuration).field("t", registers.voter).field("a", registers.after);
}
void write_body(const RegistersReply& reply, Map& map) {
  write_answer(reply.answer, map);
  map.field("l", wire::register_versions_to_bytes(reply.registers)).field("n", reply.next);
}
void write_body(const ConfigurationQuery& query, Map& map) { map.field("e", query.epochs).field("t", query.voter); }
void write_body(const ConfigurationReply& reply, Map& map) {
  map.field("l", reply.configurations).field("t", reply.voter);
}

void write_body(const Watch& watch, Map& map) {
  map.field("s", watch.subscription).field("t", watch.target).flag("p", watch.is_prefix);
}
void write_body(const WatchReply& reply, Map& map) { map.field("i", reply.instance); }
void write_body(const Changed& changed, Map& map) {
  std::vector<std::string> keys;
  std::vector<VersionVector> versions;
  for (const KeyChange& each : changed.keys) {
    keys.push_back(each.key);
    versions.push_back(each.version);
  }
  map.field("s", changed.subscription).field("k", keys).field("v", versions);
  map.flag("w", changed.is_whole).flag("a", changed.is_anew);
}
void write_body(const ChangedReply& reply, Map& map) { map.flag("w", reply.is_wanted); }
void write_body(const Lease& lease, Map& map) {
  map.field("k", lease.key).field("r", lease.reads).field("s", lease.spread);
}
void write_body(const LeaseReply& reply, Map& map) {
  map.field("l", reply.records).field("a", reply.age_ms).field("s", reply.spread);
  if (reply.load > 0) map.field("o", std::uint64_t{reply.load});
}
void write_body(const LeaseNotice& notice, Map& map) { map.field("k", notice.key).field("s", notice.spread); }
void write_body(const Unsupported&, Map&) {}

void write_header(Sink& sink, const Message& message) {
  const auto code = wire::body_codes[message.body.index()];
  auto kind = wire::Kind::reply;
  if (code.side == wire::Side::asks) kind = message.request_id == 0 ? wire::Kind::one_way : wire::Kind::request;
  sink.bytes.resize(wire::header_bytes);
  sink.bytes[0] = static_cast<std::uint8_t>(kind);
  sink.bytes[1] = static_cast<std::uint8_t>(code.method);
  crypto::store_be64(&sink.bytes[2], message.request_id);
}

Bytes write_with(const Message& message, const std::vector<MemberUpdate>& gossip) {
  Sink sink;
  write_header(sink, message);
  Map map(sink);
  std::visit([&](const auto& body) { write_body(body, map); }, message.body);
  if (!gossip.empty()) map.field(wire::gossip_field, gossip);
  return std::move(sink.bytes);
}

std::size_t packed_bytes(const MemberUpdate& update) {
  Sink sink;
  pack(sink, update);
  return sink.bytes.size();
}

// Moves what fits beside a payload of `used` bytes from the front of `updates` into the result.
std::vector<MemberUpdate> take_fitting(std::vector<MemberUpdate>& updates, std::size_t used) {
  constexpr std::size_t field_bytes = 2 + 3;  // the name, and an array's header at its longest
  used += field_bytes;
  std::size_t count = 0;
  for (; count < updates.size(); ++count) {
    used += packed_bytes(updates[count]);
    if (used > limits::datagram_plaintext_bytes_max) break;
  }
  const auto end = updates.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<MemberUpdate> taken(std::make_move_iterator(updates.begin()), std::make_move_iterator(end));
  updates.erase(updates.begin(), end);
  return taken;
}

}  // namespace

Bytes write_message(const Message& message) { return write_with(message, message.gossip); }

std::vector<Bytes> write_for_datagrams(const Message& message) {
  auto whole = write_message(message);
  if (whole.size() <= limits::datagram_plaintext_bytes_max || message.gossip.empty()) return {std::move(whole)};
  auto bare = write_with(message, {});
  if (bare.size() > limits::datagram_plaintext_bytes_max) return {std::move(whole)};
  auto updates = message.gossip;
  std::vector<Bytes> payloads{write_with(message, take_fitting(updates, bare.size()))};
  Message carrier;
  carrier.body = Gossip{};
  while (!updates.empty()) {
    const auto taken = take_fitting(updates, wire::header_bytes + 1);
    if (taken.empty()) break;  // larger than any contact: no peer would take it
    payloads.push_back(write_with(carrier, taken));
  }
  return payloads;
}

}  // namespace kith::dht
