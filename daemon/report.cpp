// SPDX-License-Identifier: MIT
#include "daemon/report.h"

#include <algorithm>

#include <unistd.h>

#include "dht/consensus/configurations.h"
#include "dht/model/invite.h"

namespace kith::daemon {
namespace {

using dht::MemberState;

std::string_view state_word(MemberState state) {
  switch (state) {
    case MemberState::alive:
      return "alive";
    case MemberState::suspect:
      return "suspect";
    case MemberState::dead:
      break;
  }
  return "dead";
}

std::string_view state_word(const dht::Member& member) {
  return member.contact.has_left ? "left" : state_word(member.state);
}

std::string address_of(const dht::Contact& contact) {
  return contact.endpoints.empty() ? std::string{} : dht::to_text(contact.endpoints.front());
}

struct ShardCounts {
  std::uint64_t with_majority = 0;
  std::uint64_t without_majority = 0;
  std::uint64_t unknown = 0;   // who decides
  std::uint64_t changing = 0;  // of those with a majority or without
  std::uint64_t voter = 0;     // this node is one
};

ShardCounts count_shards(const dht::Node& node) {
  ShardCounts counts;
  const dht::Configurations& configurations = node.configurations();
  const auto is_here = [&](const dht::Voter& voter) {
    const auto tag = configurations.tag_of(voter.node);
    return node.is_usable(voter.node) && (!tag || *tag == voter.tag);
  };
  for (std::size_t shard = 0; shard < dht::shard_count; ++shard) {
    const dht::Configuration* known = configurations.of(static_cast<dht::Shard>(shard));
    if (known == nullptr) {
      counts.unknown += 1;
      continue;
    }
    known->is_quorum(is_here) ? counts.with_majority += 1 : counts.without_majority += 1;
    if (known->is_joint()) counts.changing += 1;
    if (known->has_voter(configurations.self())) counts.voter += 1;
  }
  return counts;
}

double seconds(dht::Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

struct MemberCounts {
  std::uint64_t alive = 1;  // this node
  std::uint64_t suspect = 0;
  std::uint64_t dead = 0;
};

MemberCounts count_members(const dht::Node& node) {
  MemberCounts counts;
  for (const dht::Member* member : node.members()) {
    if (member->contact.has_left) continue;
    switch (member->state) {
      case MemberState::alive:
        counts.alive += 1;
        break;
      case MemberState::suspect:
        counts.suspect += 1;
        break;
      case MemberState::dead:
        counts.dead += 1;
        break;
    }
  }
  return counts;
}

struct Counter {
  std::string_view name;
  std::uint64_t value;
};

std::vector<Counter> counters_of(const StatusReport& report) {
  const dht::HostCounters host = report.host.counters();
  const dht::NodeCounters node = report.host.node().counters();
  return {{"datagrams_in", host.datagrams_in},
          {"datagrams_out", host.datagrams_out},
          {"datagrams_unsent", report.facts.datagrams_unsent},
          {"bytes_in", host.bytes_in},
          {"bytes_out", host.bytes_out},
          {"malformed", host.malformed},
          {"not_authentic", host.not_authentic},
          {"replayed", host.replayed},
          {"unknown_session", host.unknown_session},
          {"rate_limited", host.rate_limited},
          {"over_budget", host.over_budget},
          {"dials_held_back", host.dials_held_back},
          {"undecodable", host.undecodable},
          {"queue_full", host.queue_full},
          {"handshakes_done", host.handshakes_done},
          {"sessions", host.sessions},
          {"streams", host.streams},
          {"records_refused", node.records_refused},
          {"signatures_bad", node.signatures_bad},
          {"replies_unasked", node.replies_unasked},
          {"read_repairs", node.read_repairs},
          {"repair_bytes_sent", node.repair.bytes_sent},
          {"repair_bytes_fetched", node.repair.bytes_fetched},
          {"repair_comparisons", node.repair.comparisons},
          {"repair_descents", node.repair.descents},
          {"repair_records", node.repair.records_repaired},
          {"keys_reaped", node.keys_reaped},
          {"records_outlived", node.records_outlived},
          {"records_damaged", node.records_damaged},
          {"actors_cloned", node.actors_cloned},
          {"requests_retried", node.requests_retried},
          {"cache_hits", report.facts.cache_hits},
          {"cache_misses", report.facts.cache_misses},
          {"misses_spared", report.facts.misses_spared},
          {"rows_damaged", report.facts.rows_damaged},
          {"reads_failed", report.facts.reads_failed}};
}

void write_counts(RpcWriter& writer, const std::vector<Counter>& counters) {
  writer.map(counters.size());
  for (const Counter& counter : counters) writer.text(counter.name).number(counter.value);
}

void write_identity(RpcWriter& writer, const StatusReport& report) {
  const dht::Contact& self = report.host.node().self();
  writer.text("node").text(dht::to_text(self.id));
  writer.text("name").name(self.name);
  writer.text("mesh").text(report.facts.mesh);
  writer.text("version").text(KITH_VERSION);
  writer.text("port").number(report.facts.port);
  // What `--join` takes; empty where nobody could reach this node.
  writer.text("seed").text(
      self.endpoints.empty() ? "" : dht::seed_address_text({self.signing_key, self.exchange_key, self.endpoints}));
  writer.text("pid").number(static_cast<std::uint64_t>(getpid()));
}

void write_member(RpcWriter& writer, const dht::Member& member, dht::Instant now) {
  const auto since = member.last_heard == dht::Instant{} ? dht::Duration::zero() : now - member.last_heard;
  writer.map(10);
  writer.text("node").text(dht::to_text(member.contact.id));
  writer.text("name").name(member.contact.name);
  writer.text("address").text(address_of(member.contact));
  writer.text("state").text(state_word(member));
  writer.text("incarnation").number(member.incarnation);
  writer.text("rtt_ms").real(static_cast<double>(member.rtt.count()) / 1000.0);
  writer.text("weight").number(member.contact.weight);
  writer.text("zone").name(member.contact.zone);
  writer.text("last_heard_s").real(seconds(std::max(since, dht::Duration::zero())));
  writer.text("self").boolean(false);
}

void write_self(RpcWriter& writer, const dht::Contact& self) {
  writer.map(10);
  writer.text("node").text(dht::to_text(self.id));
  writer.text("name").name(self.name);
  writer.text("address").text(address_of(self));
  writer.text("state").text("alive");
  writer.text("incarnation").number(self.incarnation);
  writer.text("rtt_ms").real(0);
  writer.text("weight").number(self.weight);
  writer.text("zone").name(self.zone);
  writer.text("last_heard_s").real(0);
  writer.text("self").boolean(true);
}

std::string_view state_of(const dht::Node& node, const dht::NodeId& id) {
  if (id == node.id()) return "alive";
  const auto members = node.members();
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto* m) { return m->contact.id == id; });
  return found == members.end() ? "dead" : state_word(**found);
}

void write_holders(RpcWriter& writer, const dht::Node& node, const std::vector<dht::NodeId>& holders) {
  writer.array(holders.size());
  for (const dht::NodeId& id : holders) {
    const dht::Contact* contact = node.contact(id);
    writer.map(5).text("node").text(dht::to_text(id));
    writer.text("name").name(contact == nullptr ? "" : contact->name);
    writer.text("address").text(contact == nullptr ? "" : address_of(*contact));
    writer.text("state").text(state_of(node, id));
    writer.text("self").boolean(id == node.id());
  }
}

}  // namespace

void write_status(RpcWriter& writer, const StatusReport& report, dht::Instant now) {
  const dht::Node& node = report.host.node();
  const MemberCounts members = count_members(node);
  const dht::NodeOptions& options = node.options();
  const ShardCounts shards = count_shards(node);
  writer.map(25);
  write_identity(writer, report);
  writer.text("leaving").boolean(node.leave_progress().stage != dht::Leaving::Stage::member);
  writer.text("members");
  write_counts(writer, {{"alive", members.alive}, {"suspect", members.suspect}, {"dead", members.dead}});
  writer.text("records").number(report.totals.records);
  writer.text("bytes").number(report.totals.bytes);
  writer.text("partitions");
  write_counts(writer, {{"held", report.partitions.held},
                        {"whole", report.partitions.whole},
                        {"under_replicated", report.partitions.under_replicated},
                        {"repairing", report.partitions.repairing},
                        {"copies", report.partitions.copies}});
  writer.text("strong");
  write_counts(writer, {{"with_majority", shards.with_majority},
                        {"without_majority", shards.without_majority},
                        {"unknown", shards.unknown},
                        {"changing", shards.changing},
                        {"voter", shards.voter}});
  writer.text("outbox").number(report.totals.outbox);
  writer.text("uptime_s").number(static_cast<std::uint64_t>(seconds(now - report.facts.started)));
  writer.text("durability").text(report.facts.durability);
  writer.text("data").name(report.facts.data);
  writer.text("discovery").boolean(report.facts.has_discovery);
  writer.text("reserve_bytes").number(report.facts.disk_reserve_bytes);
  writer.text("clock_ahead_ms").integer(report.facts.clock_ahead_ms);
  writer.text("other_clocks").map(2);
  writer.text("members").number(report.facts.other_clocks.members);
  writer.text("ahead_ms").integer(report.facts.other_clocks.ahead_ms);
  writer.text("replication");
  write_counts(writer, {{"n", static_cast<std::uint64_t>(options.n)},
                        {"r", static_cast<std::uint64_t>(options.r)},
                        {"w", static_cast<std::uint64_t>(options.w)},
                        {"value_bytes_max", options.value_bytes_max}});
  writer.text("requests");
  write_counts(writer, {{"clients", report.facts.clients},
                        {"in_flight", report.requests.in_flight},
                        {"done", report.requests.done},
                        {"failed", report.requests.failed}});
  writer.text("watches");
  write_counts(writer,
               {{"open", report.host.node().watches_open()}, {"subscriptions", report.host.node().subscriptions()}});
  writer.text("counters");
  write_counts(writer, counters_of(report));
}

void write_members(RpcWriter& writer, const dht::Node& node, dht::Instant now) {
  const auto members = node.members();
  writer.map(1).text("members").array(members.size() + 1);
  bool self_written = false;
  for (const dht::Member* member : members) {
    if (!self_written && node.id() < member->contact.id) {
      write_self(writer, node.self());
      self_written = true;
    }
    write_member(writer, *member, now);
  }
  if (!self_written) write_self(writer, node.self());
}

void write_location(RpcWriter& writer, const dht::Node& node, const dht::Location& location) {
  writer.map(5).text("key").name(location.key);
  writer.text("hash").text(dht::to_text(location.hash));
  writer.text("partition").number(location.partition);
  writer.text("replicas");
  write_holders(writer, node, location.replicas);
  writer.text("stand_ins");
  write_holders(writer, node, location.stand_ins);
}

}  // namespace kith::daemon
