// SPDX-License-Identifier: MIT
#include "tests/support/messages.h"

#include <algorithm>
#include <set>
#include <utility>

#include "dht/model/limits.h"

namespace kith::tests {

using namespace dht;
namespace {

using crypto::Bytes;

VersionVector vector_of(std::initializer_list<VersionEntry> entries) {
  VersionVector vector;
  for (const auto& entry : entries) vector.raise(entry.tag, entry.seq);
  return vector;
}

Message request(Body body) { return {.request_id = 0x0102030405060708, .body = std::move(body), .gossip = {}}; }

std::vector<Sample> membership_samples() {
  const MemberUpdate alive{id_of(1), MemberState::alive, 7, {}, Bytes{0xca, 0xfe}};
  const MemberUpdate suspect{id_of(2), MemberState::suspect, 300, id_of(3), {}};
  auto carrying = request(Ping{.incarnation = 1, .heartbeat = 2, .view_digest = 3, .store_digest = 4});
  carrying.gossip = {alive, suspect};
  return {
      {"ping", request(Ping{1, 2, 0x1122334455667788, 0})},
      {"ping reply", request(PingReply{1ULL << 63U, 2, 3, 4})},
      {"ping that asks the time", request(Ping{1, 2, 3, 0, true})},
      {"ping reply with the time", request(PingReply{1, 2, 3, 4, 1'700'000'000'000})},
      {"ping with gossip", carrying},
      {"probe", request(Probe{id_of(0xaa)})},
      {"probe reply, heard", request(ProbeReply{id_of(0xaa), 1500})},
      {"probe reply, not heard", request(ProbeReply{id_of(0xaa), std::nullopt})},
      {"gossip", {.request_id = 0, .body = Gossip{}, .gossip = {alive}}},
      {"join", request(Join{Bytes{1, 2, 3}})},
      {"members", request(Members{id_of(9)})},
      {"members reply", request(MembersReply{{alive, suspect}, id_of(2)})},
      {"members reply, last page", request(MembersReply{{}, std::nullopt})},
      {"members, compared", request(Members{id_of(0xc0), MemberDigests{2, {0x01020304}}})},
      {"members reply, compared", request(MembersReply{{}, id_of(0xbf), 600, {{0, 1, 2}}})},
      {"members reply, equal", request(MembersReply{{}, std::nullopt, 600, {{}}})},
      {"find", request(Find{id_of(0x80), 12})},
      {"find reply", request(FindReply{{Bytes{1}, Bytes{2, 2}}})},
  };
}

std::vector<Sample> data_samples() {
  const FetchAnswer found{FetchStatus::found, RowsDigest{1, 2, 3}, {Bytes{0xde, 0xad}, Bytes{0xbe, 0xef}}};
  const FetchAnswer digest{FetchStatus::catching_up, RowsDigest{1, 2, 3}, {}};
  const FetchAnswer aged{FetchStatus::found, {}, {}, 0x0102030405060708};
  const StoreAnswer stored{StoreStatus::stored, ErrorCode::internal, vector_of({{1, 2}, {1ULL << 40U, 1ULL << 50U}})};
  const StoreAnswer refused{StoreStatus::refused, ErrorCode::clock_skew, {}};
  return {
      {"fetch", request(Fetch{FetchForm::digest, {id_of(1), id_of(2)}})},
      {"fetch that asks how full a namespace is", request(Fetch{FetchForm::records, {id_of(1)}, {}, "carts"})},
      {"fetch of ranges", request(Fetch{FetchForm::ranges, {}, {{1, 2}, {3, 0x1234567890abcdef}}})},
      {"fetch of ages", request(Fetch{FetchForm::ages, {id_of(1), id_of(2)}})},
      {"fetch reply of ages", request(FetchReply{{aged, FetchAnswer{}}})},
      {"fetch reply", request(FetchReply{{found, FetchAnswer{}}, 300})},
      {"fetch reply that says how full a namespace is", request(FetchReply{{FetchAnswer{}}, 0, 70'000})},
      {"fetch reply of digests", request(FetchReply{{digest, FetchAnswer{FetchStatus::elsewhere, {}, {}}}})},
      {"store", request(Store{StorePurpose::repair, {Bytes{0xde, 0xad}}})},
      {"hint", request(Store{StorePurpose::write, {Bytes{0xde, 0xad}}, id_of(3)})},
      {"store from memory", request(Store{StorePurpose::write, {Bytes{0xde, 0xad}}, std::nullopt, true})},
      {"store reply", request(StoreReply{{stored, StoreAnswer{StoreStatus::stale, {}, {}}, refused}})},
      {"scan", request(Scan{"default/a", id_of(4), 1000})},
      {"scan of manifests", request(Scan{"", std::nullopt, 10, true})},
      {"scan reply", request(ScanReply{{"default/a", std::string("default/\0\xff", 10)}, id_of(5)})},
      {"compare", request(Compare{0x01020304,
                                  {{Prefix{}, TrieForm::children, std::vector<std::uint16_t>(16, 0xabcd)},
                                   {Prefix{3, 0x1230000000000000}, TrieForm::keys, {1, 2}},
                                   {Prefix{4, 0x1234000000000000}, TrieForm::keys, {}},
                                   {Prefix{1, 0x5000000000000000}, TrieForm::none, {}}}})},
      {"compare reply",
       request(CompareReply{{{Prefix{2, 0x1200000000000000}, TrieForm::few, {}}},
                            {{Prefix{4, 0x1234000000000000}, {0, 5}, {{0x1234567890abcdef, {{1, 2}, {3, 4}}}}}},
                            false,
                            {}})},
      {"compare reply, nothing differs", request(CompareReply{})},
      {"compare reply, records", request(CompareReply{{}, {}, false, {Bytes{0xde, 0xad}}})},
      {"items", request(Items{{1, 0x1234567890abcdef}})},
      {"items, the rest of a key", request(Items{{1, 0x1234567890abcdef}, 0x0123456789abcdef})},
      {"items reply", request(ItemsReply{{Bytes{0xde, 0xad}}})},
      {"items reply that is cut", request(ItemsReply{{Bytes{0xde, 0xad}}, true})},
      {"reap ask", request(Reap{ReapStep::ask, {{0x1234, 7, {{0x1234567890abcdef, RowsDigest{1, 2}}}}}, {}})},
      {"reap retire", request(Reap{ReapStep::retire, {}, {Bytes{0xde, 0xad}}})},
      {"reap reply", request(ReapReply{{ReapVerdict::clear, ReapVerdict::blocked}, {0x1234567890abcdef}})},
      {"reaped", request(Reaped{id_of(8), 9})},
      {"reaped reply", request(ReapedReply{{{id_of(7), 5, 6}}, id_of(7)})},
      {"ping with policies", request(Ping{1, 2, 3, 0, false, 0x0102030405060708})},
      {"ping reply with policies", request(PingReply{1, 2, 3, 4, std::nullopt, 6})},
      {"policies", request(PolicyQuery{{{0x1234567890abcdef, 2, 3}}})},
      {"policies reply", request(PolicyReply{{Bytes{0xde, 0xad}}})},
      {"ping with configurations", request(Ping{1, 2, 3, 0, false, 0, 0x0102030405060708})},
      {"ping reply with configurations", request(PingReply{1, 2, 3, 4, std::nullopt, 0, 6})},
      {"prepare", request(Prepare{Bytes{1, 2}, 7, id_of(3), {4, 5}})},
      {"prepare of a configuration", request(Prepare{Bytes{1, 2}, 7, std::nullopt, {4, 5}})},
      {"prepare reply", request(PrepareReply{{}, {4, 5}, Bytes{0xde, 0xad}})},
      {"prepare reply, outbid", request(PrepareReply{{.vote = Vote::outbid, .promised = {4, 5}}, {}, {}})},
      {"accept", request(Accept{Bytes{1, 2}, 7, id_of(3), {4, 5}, Bytes{0xde, 0xad}})},
      {"accept reply", request(AcceptReply{})},
      {"accept reply, fenced", request(AcceptReply{{.vote = Vote::fenced, .configuration = Bytes{1, 2}}})},
      {"accept reply, no voter", request(AcceptReply{{.vote = Vote::no_voter, .voter = 7}})},
      {"accept reply, refused", request(AcceptReply{{.vote = Vote::refused, .reason = ErrorCode::storage}})},
      {"registers", request(Registers{Bytes{1, 2}, 7, id_of(3)})},
      {"registers reply", request(RegistersReply{{}, {{id_of(3), {6, 7}, {4, 5}}}, id_of(3)})},
      {"configurations", request(ConfigurationQuery{std::vector<std::uint64_t>(shard_count, 2), 7})},
      {"configurations reply", request(ConfigurationReply{{Bytes{1, 2}}, 7})},
      {"watch", request(Watch{7, "default/a", true})},
      {"watch reply", request(WatchReply{0x0102030405060708})},
      {"changed", request(Changed{7, {{"default/a", vector_of({{1, 2}})}, {"default/b", {}}}, true, false})},
      {"changed, anew", request(Changed{7, {}, false, true})},
      {"changed reply", request(ChangedReply{true})},
      {"lease", request(Lease{"default/a", 12, 5})},
      {"lease reply", request(LeaseReply{{Bytes{1, 2}}, 1500, 5, 20})},
      {"lease notice", {.request_id = 0, .body = LeaseNotice{.key = id_of(3), .spread = 5}, .gossip = {}}},
      {"unsupported", request(Unsupported{})},
  };
}

rc::Gen<Id> arbitrary_id() {
  return rc::gen::map(rc::gen::arbitrary<std::array<std::uint8_t, 32>>(), [](const auto& bytes) { return Id{bytes}; });
}

template <typename T>
std::vector<T> few(const rc::Gen<T>& item, std::size_t count_max = 6) {
  return *rc::gen::container<std::vector<T>>(*rc::gen::inRange<std::size_t>(0, count_max + 1), item);
}

rc::Gen<Bytes> arbitrary_bytes() { return rc::gen::arbitrary<Bytes>(); }

template <typename T>
T any() {
  return *rc::gen::arbitrary<T>();
}

template <typename T>
std::optional<T> maybe(T value) {
  return any<bool>() ? std::optional(std::move(value)) : std::nullopt;
}

rc::Gen<MemberUpdate> arbitrary_update() {
  return rc::gen::exec([] {
    return MemberUpdate{
        *arbitrary_id(),      *rc::gen::element(MemberState::alive, MemberState::suspect, MemberState::dead),
        any<std::uint64_t>(), any<bool>() ? *arbitrary_id() : Id{},
        *arbitrary_bytes(),   any<std::uint32_t>()};
  });
}

rc::Gen<ReapPartition> arbitrary_reap_partition() {
  return rc::gen::exec([] {
    ReapPartition partition{any<std::uint16_t>(), any<std::uint64_t>(), {}};
    for (const std::uint64_t key : few(rc::gen::arbitrary<std::uint64_t>())) {
      partition.keys.push_back({key, any<RowsDigest>()});
    }
    return partition;
  });
}

rc::Gen<PolicyVersion> arbitrary_policy_version() {
  return rc::gen::exec([] { return PolicyVersion{any<std::uint64_t>(), any<std::uint64_t>(), any<std::uint64_t>()}; });
}

rc::Gen<ReapedMark> arbitrary_mark() {
  return rc::gen::exec([] { return ReapedMark{*arbitrary_id(), any<std::uint64_t>(), any<std::uint64_t>()}; });
}

rc::Gen<FetchAnswer> arbitrary_fetch_answer() {
  return rc::gen::exec([] {
    return FetchAnswer{*rc::gen::element(FetchStatus::found, FetchStatus::absent, FetchStatus::damaged),
                       any<RowsDigest>(), few(arbitrary_bytes()), any<Seq>()};
  });
}

rc::Gen<StoreAnswer> arbitrary_store_answer() {
  return rc::gen::exec([] {
    StoreAnswer answer;
    answer.status = *rc::gen::element(StoreStatus::stored, StoreStatus::stale, StoreStatus::refused);
    answer.reason = *rc::gen::element(ErrorCode::not_found, ErrorCode::clock_skew, ErrorCode::internal);
    for (const auto tag : few(rc::gen::arbitrary<std::uint64_t>())) {
      answer.seen.raise(tag, *rc::gen::positive<std::uint64_t>());
    }
    return answer;
  });
}

rc::Gen<Prefix> arbitrary_prefix(std::uint8_t depth_max) {
  return rc::gen::exec([depth_max] {
    Prefix prefix;
    const auto depth = *rc::gen::inRange<std::uint8_t>(0, static_cast<std::uint8_t>(depth_max + 1));
    while (prefix.depth < depth) prefix = prefix.child(*rc::gen::inRange<std::size_t>(0, 16));
    return prefix;
  });
}

rc::Gen<TrieNode> arbitrary_node() {
  return rc::gen::exec([] {
    TrieNode node;
    node.form = *rc::gen::element(TrieForm::children, TrieForm::keys, TrieForm::few, TrieForm::none);
    const bool has_children = node.form == TrieForm::children;
    node.prefix = *arbitrary_prefix(static_cast<std::uint8_t>(Prefix::depth_max - (has_children ? 1 : 0)));
    if (node.form == TrieForm::few || node.form == TrieForm::none) return node;
    node.digests.resize(has_children ? 16 : *rc::gen::inRange<std::size_t>(0, limits::compare_digests_max + 1));
    for (auto& digest : node.digests) digest = any<std::uint16_t>();
    return node;
  });
}

rc::Gen<KeysDifference> arbitrary_difference() {
  return rc::gen::exec([] {
    KeysDifference difference{*arbitrary_prefix(Prefix::depth_max), few(rc::gen::arbitrary<std::uint8_t>()), {}};
    for (const auto key : few(rc::gen::arbitrary<std::uint64_t>())) {
      difference.keys.push_back({key, {{any<std::uint64_t>(), any<std::uint64_t>()}}});
    }
    return difference;
  });
}

rc::Gen<MemberDigests> arbitrary_digests() {
  return rc::gen::exec([] {
    MemberDigests digests;
    digests.depth = *rc::gen::inRange<std::uint8_t>(0, limits::member_range_depth_max + 1);
    const std::size_t ranges = std::size_t{1} << digests.depth;
    digests.of_ranges.resize(*rc::gen::inRange<std::size_t>(1, std::min<std::size_t>(ranges, 64) + 1));
    for (auto& digest : digests.of_ranges) digest = any<std::uint32_t>();
    return digests;
  });
}

std::vector<MemberRange> few_ranges() {
  std::set<MemberRange> ranges;
  for (const auto range : few(rc::gen::arbitrary<MemberRange>())) ranges.insert(range);
  return {ranges.begin(), ranges.end()};
}

// One at least.
std::vector<KeyRange> few_key_ranges() {
  std::set<std::uint64_t> ends{any<std::uint64_t>()};
  for (const auto end : few(rc::gen::arbitrary<std::uint64_t>(), limits::ranges_max)) ends.insert(end);
  std::vector<KeyRange> ranges;
  for (const auto end : ends) {
    const bool is_last = !ranges.empty() && ranges.back().first == ranges.back().last && any<bool>();
    is_last ? void(ranges.back().last = end) : ranges.push_back({end, end});
  }
  if (ranges.size() > limits::ranges_max) ranges.resize(limits::ranges_max);
  return ranges;
}

std::optional<Id> maybe_id() { return any<bool>() ? std::optional(*arbitrary_id()) : std::nullopt; }
std::optional<std::uint32_t> maybe_u32() { return any<bool>() ? std::optional(any<std::uint32_t>()) : std::nullopt; }

rc::Gen<Ballot> arbitrary_ballot() {
  return rc::gen::exec([] { return Ballot{*rc::gen::positive<std::uint64_t>(), any<std::uint64_t>()}; });
}

VoteAnswer any_answer() {
  VoteAnswer answer{.vote =
                        *rc::gen::element(Vote::granted, Vote::outbid, Vote::fenced, Vote::no_voter, Vote::refused)};
  answer.promised = *arbitrary_ballot();
  answer.configuration = *arbitrary_bytes();
  answer.voter = any<std::uint64_t>();
  return answer;
}

rc::Gen<RegisterVersion> arbitrary_version() {
  return rc::gen::exec([] { return RegisterVersion{*arbitrary_id(), *arbitrary_ballot(), *arbitrary_ballot()}; });
}

rc::Gen<KeyChange> arbitrary_change() {
  return rc::gen::exec([] {
    KeyChange change{.key = *rc::gen::arbitrary<std::string>(), .version = {}};
    for (const auto tag : few(rc::gen::arbitrary<std::uint64_t>())) {
      change.version.raise(tag, *rc::gen::positive<std::uint64_t>());
    }
    return change;
  });
}

Body arbitrary_watch_body(std::size_t number) {
  switch (number) {
    case 34:
      return Watch{any<std::uint64_t>(), *rc::gen::arbitrary<std::string>(), any<bool>()};
    case 35:
      return WatchReply{any<std::uint64_t>()};
    case 36:
      return Changed{any<std::uint64_t>(), few(arbitrary_change(), limits::changes_told_max), any<bool>(), any<bool>()};
    case 37:
      return ChangedReply{any<bool>()};
    case 38:
      return Lease{*rc::gen::arbitrary<std::string>(), any<std::uint32_t>(), any<std::uint8_t>()};
    case 39:
      return LeaseReply{few(arbitrary_bytes()), any<std::uint32_t>(), any<std::uint8_t>(), any<std::uint32_t>()};
    case 40:
      return LeaseNotice{*arbitrary_id(), any<std::uint8_t>()};
    default:
      return Unsupported{};
  }
}

Body arbitrary_consensus_body(std::size_t number) {
  switch (number) {
    case 26:
      return Prepare{*arbitrary_bytes(), any<std::uint64_t>(), maybe_id(), *arbitrary_ballot()};
    case 27:
      return PrepareReply{any_answer(), *arbitrary_ballot(), *arbitrary_bytes()};
    case 28:
      return Accept{*arbitrary_bytes(), any<std::uint64_t>(), maybe_id(), *arbitrary_ballot(), *arbitrary_bytes()};
    case 29:
      return AcceptReply{any_answer()};
    case 30:
      return Registers{*arbitrary_bytes(), any<std::uint64_t>(), maybe_id()};
    case 31:
      return RegistersReply{any_answer(), few(arbitrary_version()), maybe_id()};
    case 32:
      return ConfigurationQuery{std::vector<std::uint64_t>(shard_count, any<std::uint64_t>()), any<std::uint64_t>()};
    case 33:
      return ConfigurationReply{few(arbitrary_bytes()), any<std::uint64_t>()};
    default:
      return arbitrary_watch_body(number);
  }
}

Body arbitrary_repair_body(std::size_t number) {
  switch (number) {
    case 16:
      return Compare{any<std::uint32_t>(), few(arbitrary_node(), limits::compare_nodes_max)};
    case 17:
      return CompareReply{few(arbitrary_node()), few(arbitrary_difference()), any<bool>(), few(arbitrary_bytes())};
    case 18:
      return Items{few(rc::gen::arbitrary<std::uint64_t>(), limits::items_keys_max), maybe(any<std::uint64_t>())};
    case 19:
      return ItemsReply{few(arbitrary_bytes()), any<bool>()};
    case 20:
      return Reap{*rc::gen::element(ReapStep::ask, ReapStep::retire, ReapStep::commit), few(arbitrary_reap_partition()),
                  few(arbitrary_bytes())};
    case 21:
      return ReapReply{few(rc::gen::element(ReapVerdict::blocked, ReapVerdict::clear)),
                       few(rc::gen::arbitrary<std::uint64_t>())};
    case 22:
      return Reaped{maybe_id(), any<std::uint64_t>()};
    case 23:
      return ReapedReply{few(arbitrary_mark()), maybe_id()};
    case 24:
      return PolicyQuery{few(arbitrary_policy_version())};
    case 25:
      return PolicyReply{few(arbitrary_bytes())};
    default:
      return arbitrary_consensus_body(number);
  }
}

Body arbitrary_body() {
  using U = std::uint64_t;
  const auto form = *rc::gen::element(FetchForm::records, FetchForm::digest);
  const auto purpose = *rc::gen::element(StorePurpose::write, StorePurpose::repair);
  const auto number = *rc::gen::inRange<std::size_t>(0, std::variant_size_v<AnyBody>);
  switch (number) {
    case 0:
      return Ping{any<U>(), any<U>(), any<U>(), any<U>(), any<bool>(), any<U>(), any<U>()};
    case 1:
      return PingReply{any<U>(), any<U>(), any<U>(), any<U>(), maybe(any<U>()), any<U>(), any<U>()};
    case 2:
      return Probe{*arbitrary_id()};
    case 3:
      return ProbeReply{*arbitrary_id(), maybe_u32()};
    case 4:
      return Gossip{};
    case 5:
      return Join{*arbitrary_bytes()};
    case 6:
      return Members{*arbitrary_id(), maybe(*arbitrary_digests())};
    case 7:
      return MembersReply{few(arbitrary_update()), maybe_id(), any<std::uint32_t>(), maybe(few_ranges())};
    case 8:
      return Find{*arbitrary_id(), any<std::uint8_t>()};
    case 9:
      return FindReply{few(arbitrary_bytes(), limits::contacts_per_reply)};
    case 10:
      return any<bool>() ? Fetch{form, few(arbitrary_id()), {}, any<bool>() ? "carts" : ""}
                         : Fetch{FetchForm::ranges, {}, few_key_ranges()};
    case 11:
      return FetchReply{few(arbitrary_fetch_answer()), any<std::uint32_t>(), any<std::uint64_t>()};
    case 12:
      return Store{purpose, few(arbitrary_bytes()), maybe_id()};
    case 13:
      return StoreReply{few(arbitrary_store_answer())};
    case 14:
      return Scan{any<std::string>(), maybe_id(), *rc::gen::inRange<std::uint16_t>(0, 1001), any<bool>()};
    case 15:
      return ScanReply{few(rc::gen::arbitrary<std::string>()), maybe_id()};
    default:
      return arbitrary_repair_body(number);
  }
}

}  // namespace

Id id_of(std::uint8_t fill) {
  Id id;
  id.bytes.fill(fill);
  return id;
}

std::vector<Sample> sample_messages() {
  auto samples = membership_samples();
  for (auto& sample : data_samples()) samples.push_back(std::move(sample));
  return samples;
}

rc::Gen<Message> arbitrary_message() {
  return rc::gen::exec([] {
    Message message{.request_id = *rc::gen::positive<std::uint64_t>(), .body = arbitrary_body(), .gossip = {}};
    if (std::holds_alternative<Gossip>(message.body)) message.request_id = 0;
    message.gossip = few(arbitrary_update(), limits::gossip_updates_per_message);
    return message;
  });
}

}  // namespace kith::tests
