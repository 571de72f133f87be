// SPDX-License-Identifier: MIT
// put, get, del: one key at a time.
#include <fmt/core.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/blob.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;

crypto::Bytes read_all(std::istream& in) {
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

crypto::Bytes value_of(const PutCommand& command) {
  if (!command.file.empty()) {
    std::ifstream file(command.file, std::ios::binary);
    if (!file) die(Exit::usage, fmt::format("{} cannot be read", command.file));
    return read_all(file);
  }
  if (!command.value) die(Exit::usage, "put wants a value: `kith put KEY VALUE`, `-` for stdin, or --file FILE");
  if (*command.value == "-") return read_all(std::cin);
  return {command.value->begin(), command.value->end()};
}

crypto::Bytes version_of(const std::string& hexadecimal) {
  auto version = crypto::from_hex(hexadecimal);
  if (!version) die(Exit::usage, "a version is the hexadecimal that an earlier `get --json` gave as version");
  return *version;
}

std::size_t count_fields(const WriteCondition& condition) {
  return (condition.is_absent ? 1U : 0U) + (condition.version ? 1U : 0U);
}

void write_fields(RpcWriter& params, const WriteCondition& condition) {
  if (condition.is_absent) params.text("if_absent").boolean(true);
  if (!condition.version) return;
  const crypto::Bytes version = version_of(*condition.version);
  if (version.empty()) die(Exit::usage, "--if-version wants a version, and what was given is empty");
  params.text("if_version").bytes(version);
}

std::string receipt_line(const RpcValue& receipt) {
  std::string line =
      fmt::format("{}/{} copies", receipt["copies"].number().value_or(0), receipt["wanted"].number().value_or(0));
  if (const auto in_memory = receipt["in_memory"].number().value_or(0); in_memory > 0)
    line += fmt::format(", {} of them in memory", in_memory);
  if (const auto hints = receipt["hints"].number().value_or(0); hints > 0)
    line += fmt::format(" + {} stood in for", hints);
  if (const auto queued = receipt["queued"].number().value_or(0); queued > 0)
    line += fmt::format(", {} away: queued", queued);
  if (const auto revision = receipt["revision"].number()) line += fmt::format(", revision {}", *revision);
  return line + fmt::format(", {:.1f} ms", receipt["took_ms"].real().value_or(0));
}

void print_raw(crypto::ByteSpan bytes) {
  std::cout.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void print_meta(const RpcValue& answer, const RpcValue& value) {
  fmt::print("key       {}\nauthor    {}\nseq       {}\n", answer["key"].text().value_or("?"),
             value["author"].text().value_or("?"), value["seq"].number().value_or(0));
  if (value["tombstone"].boolean().value_or(false)) fmt::print("kind      tombstone\n");
  if (value["counter"].boolean().value_or(false)) fmt::print("kind      counter\n");
  if (const auto expires = value["expires_ms"].number()) fmt::print("expires   {} ms since 1970\n", *expires);
  if (const auto revision = answer["revision"].number()) fmt::print("revision  {}\n", *revision);
  if (const RpcValue manifest = value["manifest"]; manifest.is_map()) {
    fmt::print("kind      blob\nbytes     {}\nchunks    {} of {}\n", manifest["bytes"].number().value_or(0),
               manifest["chunks"].number().value_or(0), human_bytes(manifest["chunk_bytes"].number().value_or(0)));
  } else if (const auto bytes = value["value"].bytes()) {
    fmt::print("bytes     {}\n", bytes->size());
  }
  if (const auto age = answer["age_ms"].real()) fmt::print("cached    since {:.1f} s\n", *age / 1e3);
  fmt::print("replies   {} of {}{}\nversion   {}\n", answer["replies"].number().value_or(0),
             answer["wanted"].number().value_or(0), answer["degraded"].boolean().value_or(false) ? " (degraded)" : "",
             crypto::to_hex(answer["version"].bytes().value_or(crypto::ByteSpan{})));
}

// Raw bytes, nothing added, so that `kith get KEY > file` is exact; several values are a line each.
void print_values(const GetCommand& command, const RpcValue& answer) {
  const bool several = command.keys.size() > 1 || command.terms.all || answer["values"].size() > 1;
  answer["values"].for_each([&](const RpcValue& value) {
    if (command.terms.meta) return print_meta(answer, value);
    if (value["manifest"].is_map()) {
      fmt::print("(a blob of {} bytes)\n", value["manifest"]["bytes"].number().value_or(0));
      return;
    }
    const auto bytes = value["value"].bytes();
    if (bytes) print_raw(*bytes);
    if (several || is_terminal(STDOUT_FILENO)) std::cout << '\n';
  });
}

Exit read_one(Client& client, const Common& common, const GetCommand& command, const std::string& key) {
  const RpcValue answer = client.call("get", [&](RpcWriter& params) {
    params.map(1 + count_fields(command.terms)).text("key").name(key);
    write_fields(params, command.terms);
  });
  if (common.json) {
    fmt::print("{}\n", to_json(answer).dump());
  } else if (!command.terms.meta && !command.terms.all && answer["values"].size() == 1 && newest_manifest(answer)) {
    std::cout.flush();
    print_blob(client, command, key, *newest_manifest(answer));
    return Exit::done;
  } else {
    print_values(command, answer);
    if (answer["degraded"].boolean().value_or(false)) {
      fmt::print(stderr, "kith: {}: answered by {} of {} replicas; see `kith members`\n", key,
                 answer["replies"].number().value_or(0), answer["wanted"].number().value_or(0));
    }
  }
  const bool is_found = answer["found"].boolean().value_or(false);
  if (!common.json && is_found && !command.terms.all && answer["values"].size() > 1) {
    fmt::print(stderr,
               "kith: {} has {} concurrent values; a put replaces what is known of them, and with the version of a "
               "`kith get --json` exactly those\n",
               key, answer["values"].size());
  }
  if (is_found) return Exit::done;
  if (!common.json) fmt::print(stderr, "kith: {} is not there\n", key);
  return Exit::not_found;
}

}  // namespace

// The receipt goes to stderr for people and to stdout for programs.
void print_receipt(const Common& common, const RpcValue& receipt) {
  if (common.json) {
    fmt::print("{}\n", to_json(receipt).dump());
  } else if (is_terminal(STDERR_FILENO)) {
    fmt::print(stderr, "{}: {}\n", receipt["key"].text().value_or("?"), receipt_line(receipt));
  }
}

RpcValue write_key(Client& client, const PutCommand& command, const PutValue& value) {
  const crypto::Bytes version = command.version.empty() ? crypto::Bytes{} : version_of(command.version);
  const std::size_t optional_fields =
      (command.ttl_ms ? 1U : 0U) + (version.empty() ? 0U : 1U) + (value.is_manifest ? 1U : 0U);
  return client.call("put", [&](RpcWriter& params) {
    params.map(2 + optional_fields + count_fields(command.condition) + count_fields(command.terms));
    params.text("key").name(command.key).text("value").bytes(value.bytes);
    if (value.is_manifest) params.text("manifest").boolean(true);
    if (command.ttl_ms) params.text("ttl_ms").number(*command.ttl_ms);
    if (!version.empty()) params.text("version").bytes(version);
    write_fields(params, command.condition);
    write_fields(params, command.terms);
  });
}

Exit put(const Common& common, const PutCommand& command) {
  if (command.is_blob) return put_blob(common, command);
  const crypto::Bytes value = value_of(command);
  Client client(find_socket(common.socket));
  print_receipt(common, write_key(client, command, {.bytes = value}));
  return Exit::done;
}

Exit get(const Common& common, const GetCommand& command) {
  if (!command.output.empty()) return fetch_to_file(common, command);
  Client client(find_socket(common.socket));
  Exit worst = Exit::done;
  for (const std::string& key : command.keys) worst = std::max(worst, read_one(client, common, command, key));
  std::cout.flush();
  return worst;
}

// By this device's clock: the daemon reads by the same.
Exit ttl(const Common& common, const std::string& key) {
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("get", [&](RpcWriter& params) { params.map(1).text("key").name(key); });
  std::optional<RpcValue> newest;
  answer["values"].for_each([&](const RpcValue& value) { newest = newest.value_or(value); });
  if (!newest) {
    fmt::print(stderr, "kith: {} is not there\n", key);
    return Exit::not_found;
  }
  const auto expires_ms = (*newest)["expires_ms"].number();
  const std::uint64_t left_ms = expires_ms ? time_left_ms(*expires_ms) : 0;
  if (common.json) {
    nlohmann::ordered_json line{{"key", to_json(answer["key"])}, {"ttl_ms", nullptr}};
    if (expires_ms) line["ttl_ms"] = left_ms;
    fmt::print("{}\n", line.dump());
  } else {
    fmt::print("{}\n", expires_ms ? human_time(left_ms) : "never expires");
  }
  return Exit::done;
}

Exit del(const Common& common, const DelCommand& command) {
  const crypto::Bytes version = command.version.empty() ? crypto::Bytes{} : version_of(command.version);
  Client client(find_socket(common.socket));
  for (const std::string& key : command.keys) {
    print_receipt(common, client.call("del", [&](RpcWriter& params) {
      params.map(1 + (version.empty() ? 0U : 1U) + count_fields(command.condition) + count_fields(command.terms));
      params.text("key").name(key);
      if (!version.empty()) params.text("version").bytes(version);
      write_fields(params, command.condition);
      write_fields(params, command.terms);
    }));
  }
  return Exit::done;
}

Exit incr(const Common& common, const IncrCommand& command) {
  Client client(find_socket(common.socket));
  const RpcValue receipt = client.call("incr", [&](RpcWriter& params) {
    params.map(2 + (command.ttl_ms ? 1U : 0U) + count_fields(command.terms)).text("key").name(command.key);
    command.is_reset ? params.text("reset").boolean(true) : params.text("by").integer(command.by);
    if (command.ttl_ms) params.text("ttl_ms").number(*command.ttl_ms);
    write_fields(params, command.terms);
  });
  print_receipt(common, receipt);
  if (!common.json) fmt::print("{}\n", receipt["value"].integer().value_or(0));
  return Exit::done;
}

std::size_t count_fields(const WriteTerms& terms) {
  return 1 + (terms.wait.empty() ? 0U : 1U) + (terms.w ? 1U : 0U) + (terms.strict ? 1U : 0U);
}

void write_fields(RpcWriter& params, const WriteTerms& terms) {
  params.text("timeout_ms").number(terms.timeout_ms);
  if (!terms.wait.empty()) params.text("wait").text(terms.wait);
  if (terms.w) params.text("w").number(*terms.w);
  if (terms.strict) params.text("strict").boolean(true);
}

std::size_t count_fields(const ReadTerms& terms) {
  return 1 + (terms.r ? 1U : 0U) + (terms.all ? 1U : 0U) + (terms.strict ? 1U : 0U);
}

void write_fields(RpcWriter& params, const ReadTerms& terms) {
  params.text("timeout_ms").number(terms.timeout_ms);
  if (terms.r) params.text("r").number(*terms.r);
  if (terms.all) params.text("all").boolean(true);
  if (terms.strict) params.text("strict").boolean(true);
}

}  // namespace kith::cli
