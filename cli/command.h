// SPDX-License-Identifier: MIT
// What the command line asked for, one struct a verb, and the verbs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/exit.h"

namespace kith::cli {

// A chunk that nobody refers to is let go when it is older than this. Of that a third is for the age at which a put
// takes a chunk for one that will stay, a third for the time that a put may take, and a third for clocks that differ.
inline constexpr std::uint64_t blob_grace_ms = std::uint64_t{3} * 24 * 3600 * 1000;

struct Common {
  SocketChoice socket;
  bool json = false;
};

// How a write waits: --wait, -w, --strict, --timeout.
struct WriteTerms {
  std::string wait;
  std::optional<std::uint64_t> w;
  bool strict = false;
  std::uint64_t timeout_ms = 2000;
};

struct ReadTerms {
  std::optional<std::uint64_t> r;
  bool all = false;
  bool meta = false;
  bool strict = false;
  std::uint64_t timeout_ms = 2000;
};

// What must hold for a write to take effect: of keys in strong namespaces.
struct WriteCondition {
  bool is_absent = false;
  std::optional<std::string> version;  // hexadecimal, of an earlier read or write
};

struct PutCommand {
  std::string key;
  std::optional<std::string> value;  // "-" reads stdin
  std::string file;
  bool is_blob = false;  // in chunks, under a manifest
  std::string version;   // hexadecimal, of an earlier read
  WriteCondition condition;
  std::optional<std::uint64_t> ttl_ms;  // 0: for ever; absent: as the namespace's policy says
  WriteTerms terms;
};

struct GetCommand {
  std::vector<std::string> keys;
  std::string output;  // a file instead of stdout
  ReadTerms terms;
};

struct DelCommand {
  std::vector<std::string> keys;
  std::string version;
  WriteCondition condition;
  WriteTerms terms;
};

struct IncrCommand {
  std::string key;
  std::int64_t by = 1;
  bool is_reset = false;
  std::optional<std::uint64_t> ttl_ms;
  WriteTerms terms;
};

struct NsCommand {
  std::string name;
  bool is_create = false;
  std::string conflict;
  std::string cache;
  std::string durability;
  std::optional<std::uint64_t> quota_bytes;
  std::optional<std::uint64_t> r;
  std::optional<std::uint64_t> w;
  std::optional<std::uint64_t> ttl_ms;
};

struct TopCommand {
  bool of_keys = false;
  std::uint64_t count = 20;
};

struct ImportCommand {
  std::string file;  // "-" is stdin
  WriteTerms terms;
};

struct ExportCommand {
  std::string prefix;
};

struct ListCommand {
  std::string prefix;
  std::string after;  // hexadecimal: a place that an earlier listing told
  std::optional<std::uint64_t> limit;
  bool is_count = false;
  bool is_of_blobs = false;
};

struct PruneCommand {
  std::uint64_t older_ms = blob_grace_ms;
  bool is_dry = false;
  bool is_sure = false;       // nobody puts a blob meanwhile: what is younger may go too
  bool without_away = false;  // who is away has no blob that nobody else knows of
};

struct WatchCommand {
  std::string target;
  bool is_prefix = false;  // also where it ends with '/'
  bool all = false;
  std::string state_file;  // what was told last, for the next time
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> wait_ms;
};

struct JoinCommand {
  std::string invite;  // "-" or empty reads stdin: an invite is a secret
  std::uint64_t timeout_ms = 10000;
};

struct TestnetCommand {
  std::uint64_t nodes = 3;
  std::vector<std::string> run;  // a command instead of a shell
};

struct RestoreCommand {
  std::string file;
  std::uint64_t after = 0;  // a place that an earlier restore told
};

struct RepairCommand {
  bool is_now = false;
  std::optional<std::uint64_t> wait_ms;  // without: a terminal looks on, a script is told once
};

struct LeaveCommand {
  bool is_cancel = false;
  std::optional<std::uint64_t> wait_ms;
};

Exit put(const Common& common, const PutCommand& command);
Exit put_blob(const Common& common, const PutCommand& command);
Exit get(const Common& common, const GetCommand& command);
Exit fetch_to_file(const Common& common, const GetCommand& command);
Exit prune_blobs(const Common& common, const PruneCommand& command);
Exit del(const Common& common, const DelCommand& command);
Exit incr(const Common& common, const IncrCommand& command);
Exit mget(const Common& common, const GetCommand& command);
Exit mput(const Common& common, const WriteTerms& terms);
Exit import_file(const Common& common, const ImportCommand& command);
Exit list(const Common& common, const ListCommand& command);
Exit ttl(const Common& common, const std::string& key);
Exit watch(const Common& common, const WatchCommand& command);
Exit export_keys(const Common& common, const ExportCommand& command);
Exit status(const Common& common);
Exit members(const Common& common);
Exit locate(const Common& common, const std::string& key);
Exit ns_set(const Common& common, const NsCommand& command);
Exit ns_show(const Common& common, const std::string& name);
Exit ns_list(const Common& common);
Exit top_keys(const Common& common, const TopCommand& command);
Exit invite(const Common& common);
Exit join(const Common& common, const JoinCommand& command);
Exit doctor(const Common& common);
Exit force_config(const Common& common, bool is_sure);
Exit stop(const Common& common);
Exit snapshot(const Common& common, const std::string& file);
Exit restore(const Common& common, const RestoreCommand& command);
Exit repair(const Common& common, const RepairCommand& command);
Exit leave(const Common& common, const LeaveCommand& command);
Exit testnet(const TestnetCommand& command);

// The request of a put: its receipt, which stands until the client's next message.
struct PutValue {
  crypto::ByteSpan bytes;
  bool is_manifest = false;
};
daemon::RpcValue write_key(Client& client, const PutCommand& command, const PutValue& value);
void print_receipt(const Common& common, const daemon::RpcValue& receipt);

// The terms as params of the socket's methods; how many fields they add.
std::size_t count_fields(const WriteTerms& terms);
void write_fields(daemon::RpcWriter& params, const WriteTerms& terms);
std::size_t count_fields(const ReadTerms& terms);
void write_fields(daemon::RpcWriter& params, const ReadTerms& terms);

}  // namespace kith::cli
