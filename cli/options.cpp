// SPDX-License-Identifier: MIT
#include "cli/options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>

#include "cli/command.h"
#include "cli/quantities.h"

namespace kith::cli {

namespace {

// What the parser fills in, and the verb that was chosen.
struct CommandLine {
  Common common;
  PutCommand put;
  GetCommand get;
  GetCommand mget;
  DelCommand del;
  IncrCommand incr;
  NsCommand ns;
  ListCommand list;
  PruneCommand prune;
  std::string ttl_key;
  WriteTerms mput;
  ImportCommand import;
  ExportCommand export_keys;
  JoinCommand join;
  TestnetCommand testnet;
  bool has_run = false;
  bool is_sure = false;
  std::string locate_key;
  std::string snapshot_file;
  RestoreCommand restore;
  RepairCommand repair;
  LeaveCommand leave;
  WatchCommand watch;
  TopCommand top;
  std::string time_to_wait;
  std::string age;
  std::string ttl;
  std::string amount;
  std::string quota;
  std::function<Exit()> chosen;
};

constexpr const char* footer = R"(Examples:
  kith put greeting hello            write, and wait for W copies
  kith get greeting                  read
  kith put photo --file cat.jpg --wait all
  kith put film --blob --file film.mkv; kith get film --output film.mkv
  kith incr visits; kith incr stock -3
  kith ns create carts --conflict siblings
  kith put locks/printer me --if-absent --ttl 30s
  echo '{"key":"a","value":"1"}' | kith mput
  kith import rows.jsonl --wait all
  kith watch services/               what is there, and each change
  kith members; kith locate greeting
  kith repair --now --wait 60s       compare the replicas; 0 when all are equal
  kith testnet 5                     five daemons on loopback and a shell

Exit codes: 0 done, 1 not found, 2 usage, 3 conflict, 4 too few replicas, 5 no daemon, 6 refused, 7 internal.
See kith(1).)";

void add_write_options(CLI::App& verb, WriteTerms& terms) {
  verb.add_option("--wait", terms.wait, "how many copies to wait for: local, one, quorum (default) or all")
      ->check(CLI::IsMember({"local", "one", "quorum", "all"}));
  verb.add_option("-w", terms.w, "wait for this many copies")->check(CLI::Range(1, 1000));
  verb.add_flag("--strict", terms.strict, "count only copies at the replicas themselves, no stand-ins");
  verb.add_option("--timeout", terms.timeout_ms, "milliseconds to wait (default 2000)")->check(CLI::Range(1, 60000));
}

void add_read_options(CLI::App& verb, ReadTerms& terms) {
  verb.add_option("-r", terms.r, "ask this many replicas")->check(CLI::Range(1, 1000));
  verb.add_flag("--all", terms.all, "all concurrent values, not only the newest");
  verb.add_flag("--strict", terms.strict, "refuse an answer of fewer than R replicas");
  verb.add_option("--timeout", terms.timeout_ms, "milliseconds to wait (default 2000)")->check(CLI::Range(1, 60000));
}

void add_condition(CLI::App& verb, WriteCondition& condition) {
  verb.add_option("--if-version", condition.version,
                  "only if this is what is there: the version of a `get --json`; in a strong namespace");
}

void add_put(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("put", "write a key");
  verb->add_option("KEY", line.put.key, "namespace/name, or a name in the namespace default")->required();
  verb->add_option("VALUE", line.put.value, "the value; - reads it from stdin");
  verb->add_option("--file", line.put.file, "take the value from a file")->check(CLI::ExistingFile);
  verb->add_flag("--blob", line.put.is_blob, "as a blob: in chunks, of any length, resumed where it was interrupted");
  verb->add_option("--ttl", line.ttl, "how long it lives: 90s, 10m, 24h, 7d, or never to expire");
  verb->add_option("--version", line.put.version, "replace what was read: the version of a `get --json`");
  verb->add_flag("--if-absent", line.put.condition.is_absent, "only where nothing is there; in a strong namespace");
  add_condition(*verb, line.put.condition);
  add_write_options(*verb, line.put.terms);
  verb->footer(
      "Examples:\n"
      "  kith put greeting hello\n"
      "  kith put film --blob --file film.mkv      again after an interruption: only what is missing is sent\n"
      "  tar c photos | kith put photos --blob\n"
      "  kith ns create locks --conflict strong\n"
      "  kith put locks/printer $HOSTNAME --if-absent --ttl 30s    exit code 3 where somebody has it\n"
      "  kith put locks/printer $HOSTNAME --if-version 0102...     only if it is what was read");
  verb->callback([&line] {
    line.put.ttl_ms = lifetime_of(line.ttl);
    line.chosen = [&line] { return put(line.common, line.put); };
  });
}

void add_reads(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("get", "read keys: raw bytes on stdout");
  verb->add_option("KEY", line.get.keys, "one key or more")->required();
  verb->add_flag("--meta", line.get.terms.meta, "author, version and replies instead of the value");
  verb->add_option("--output", line.get.output, "write it to this file; a blob goes on where it was interrupted");
  add_read_options(*verb, line.get.terms);
  verb->footer(
      "Examples:\n"
      "  kith get greeting\n"
      "  kith get film --output film.mkv    film.mkv.part until it is whole");
  verb->callback([&line] {
    const bool is_one = line.get.keys.size() == 1 && !line.get.terms.all && !line.get.terms.meta;
    if (!line.get.output.empty() && !is_one) die(Exit::usage, "--output takes one key, and neither --all nor --meta");
    line.chosen = [&line] { return get(line.common, line.get); };
  });
  CLI::App* many = app.add_subcommand("mget", "read many keys (arguments, or lines of stdin): JSON lines");
  many->add_option("KEY", line.mget.keys, "the keys; without any, lines of stdin");
  add_read_options(*many, line.mget.terms);
  many->callback([&line] { line.chosen = [&line] { return mget(line.common, line.mget); }; });
}

void add_del(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("del", "delete keys");
  verb->add_option("KEY", line.del.keys, "one key or more")->required();
  verb->add_option("--version", line.del.version, "delete what was read: the version of a `get --json`");
  add_condition(*verb, line.del.condition);
  add_write_options(*verb, line.del.terms);
  verb->callback([&line] { line.chosen = [&line] { return del(line.common, line.del); }; });
}

void add_incr(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("incr", "count: add to a counter, from any device, and print what it stands at");
  verb->add_option("KEY", line.incr.key, "the counter")->required();
  verb->add_option("BY", line.amount, "how many, 1 unless said; below zero takes away");
  verb->add_flag("--reset", line.incr.is_reset, "set it to 0: what others count meanwhile stays counted");
  verb->add_option("--ttl", line.ttl, "how long what this device has counted lives from now: 90s, 10m, 24h, 7d");
  add_write_options(*verb, line.incr.terms);
  // An amount below zero looks like an option, and becomes one (see amounts_as_options).
  verb->add_option("--by", line.amount, "as BY")->group("");
  verb->footer(
      "Examples:\n"
      "  kith incr visits           1 more; prints the counter\n"
      "  kith incr stock -3         3 fewer\n"
      "  kith incr visits --reset   from 0 again\n"
      "  kith incr door --wait local    counted here at once, told to the others when they can be reached");
  verb->callback([&line, verb] {
    const bool has_amount = verb->count("BY") + verb->count("--by") > 0;
    if (line.incr.is_reset && has_amount) die(Exit::usage, "--reset sets the counter to 0; it takes no amount");
    if (line.incr.is_reset && !line.ttl.empty()) die(Exit::usage, "--reset takes no --ttl: a reset does not expire");
    if (has_amount) line.incr.by = amount_of(line.amount);
    line.incr.ttl_ms = lifetime_of(line.ttl);
    line.chosen = [&line] { return incr(line.common, line.incr); };
  });
}

void add_batches(CLI::App& app, CommandLine& line) {
  CLI::App* mput_verb = app.add_subcommand("mput", "write JSON lines from stdin; a JSON line for each answer");
  add_write_options(*mput_verb, line.mput);
  mput_verb->callback([&line] { line.chosen = [&line] { return mput(line.common, line.mput); }; });
  CLI::App* import_verb = app.add_subcommand("import", "write a file of JSON lines, with progress");
  import_verb->add_option("FILE", line.import.file, R"(lines of {"key": "a", "value": "text"}; - is stdin)")
      ->required();
  add_write_options(*import_verb, line.import.terms);
  import_verb->callback([&line] { line.chosen = [&line] { return import_file(line.common, line.import); }; });
  CLI::App* export_verb = app.add_subcommand("export", "print the keys of the whole mesh as JSON lines");
  export_verb->add_option("PREFIX", line.export_keys.prefix, "only keys that begin with this, as in default/");
  export_verb->callback([&line] { line.chosen = [&line] { return export_keys(line.common, line.export_keys); }; });
}

void add_list(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("ls", "list the keys of the whole mesh, in an order that stays");
  verb->add_option("PREFIX", line.list.prefix, "only keys that begin with this, as in default/gr");
  verb->add_flag("--count", line.list.is_count, "how many there are, and not which");
  verb->add_flag("--blobs", line.list.is_of_blobs, "only keys of blobs");
  verb->add_option("--limit", line.list.limit, "at most so many; it says how to go on")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}));
  verb->add_option("--after", line.list.after, "go on after the place that an earlier listing told");
  verb->footer(
      "Examples:\n"
      "  kith ls carts/\n"
      "  kith ls --count\n"
      "  kith ls --limit 100; kith ls --limit 100 --after 5f0c…");
  verb->callback([&line] { line.chosen = [&line] { return list(line.common, line.list); }; });
  CLI::App* ttl_verb = app.add_subcommand("ttl", "how long a key's value still lives");
  ttl_verb->add_option("KEY", line.ttl_key, "the key")->required();
  ttl_verb->callback([&line] { line.chosen = [&line] { return ttl(line.common, line.ttl_key); }; });
}

void add_watch(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("watch", "print what a key holds, and each change from then on");
  verb->add_option("TARGET", line.watch.target, "a key; or, with / at its end or --prefix, how keys begin")->required();
  verb->add_flag("--prefix", line.watch.is_prefix, "all keys that begin so, as in default/gr");
  verb->add_flag("--all", line.watch.all, "deletions, and all concurrent values");
  verb->add_option("--state", line.watch.state_file,
                   "a file that keeps what was printed: the next time only what has changed since is");
  verb->add_option("--count", line.watch.count, "end after so many changes")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}));
  verb->add_option("--wait", line.time_to_wait, "end after this time: 90s, 10m");
  verb->footer(
      "Examples:\n"
      "  kith watch settings/theme\n"
      "  kith watch services/ --json            a line for each device that registers, or whose time is over\n"
      "  kith watch carts/ --state carts.seen   go on where the last one ended\n"
      "  kith watch greeting --count 1          wait until it is there");
  verb->callback([&line] {
    if (!line.time_to_wait.empty()) line.watch.wait_ms = milliseconds_of(line.time_to_wait);
    line.chosen = [&line] { return watch(line.common, line.watch); };
  });
}

void add_mesh(CLI::App& app, CommandLine& line) {
  const auto plain = [&](const char* name, const char* what, Exit (*verb)(const Common&)) {
    app.add_subcommand(name, what)->callback([&line, verb] {
      line.chosen = [&line, verb] { return verb(line.common); };
    });
  };
  plain("status", "this device's daemon in a few lines", status);
  plain("members", "the devices of the mesh and how they are", members);
  plain("invite", "a line that lets another device join", invite);
  plain("doctor", "look at clock, ports, disk, database and members, and say what to do", doctor);
  plain("stop", "end this device's daemon", stop);
  CLI::App* mesh_verb = app.add_subcommand("mesh", "what concerns the mesh as a whole");
  mesh_verb->require_subcommand(1);
  mesh_verb->fallthrough();
  CLI::App* force_verb = mesh_verb->add_subcommand(
      "force-config",
      "let the devices that are here decide about strong namespaces, where the majority is gone for good");
  force_verb->add_flag("--yes", line.is_sure, "say that those who are away will not come back");
  force_verb->footer(
      "Only for devices that are lost. What the majority wrote last may be lost with them, and if they come back,\n"
      "what they have written meanwhile is. Run it on one device only.\n"
      "Example:\n"
      "  kith mesh force-config --yes");
  force_verb->callback([&line] { line.chosen = [&line] { return force_config(line.common, line.is_sure); }; });
  CLI::App* locate_verb = app.add_subcommand("locate", "which devices keep a key");
  locate_verb->add_option("KEY", line.locate_key, "the key; it need not exist")->required();
  locate_verb->callback([&line] { line.chosen = [&line] { return locate(line.common, line.locate_key); }; });
  CLI::App* join_verb = app.add_subcommand("join", "bring this device's daemon into another mesh");
  join_verb->add_option("INVITE", line.join.invite, "the line that `kith invite` printed; without it, from stdin");
  join_verb->add_option("--timeout", line.join.timeout_ms, "milliseconds to wait (default 10000)");
  join_verb->callback([&line] { line.chosen = [&line] { return join(line.common, line.join); }; });
}

void add_ns_changes(CLI::App& verb, CommandLine& line) {
  verb.add_option("NAME", line.ns.name, "the namespace: what stands before the slash of a key")->required();
  verb.add_option("--conflict", line.ns.conflict,
                  "of concurrent values show the newest, or all siblings; or agree on one (strong)")
      ->check(CLI::IsMember({"newest", "siblings", "strong"}));
  verb.add_option("-r", line.ns.r, "ask this many replicas; 0: as many as the mesh does")->check(CLI::Range(0, 16));
  verb.add_option("-w", line.ns.w, "wait for this many copies; 0: for as many as the mesh does")
      ->check(CLI::Range(0, 16));
  verb.add_option("--ttl", line.ttl,
                  "how long values live that are written without --ttl: 90s, 10m, 24h, 7d, or never to expire");
  verb.add_option("--cache", line.ns.cache,
                  "through: keys that many read are shown as they were at most 10 s ago; around: as replicas say")
      ->check(CLI::IsMember({"around", "through"}));
  verb.add_option("--durability", line.ns.durability,
                  "full: a replica confirms a write that is on its disk; write-back: once it is in its memory")
      ->check(CLI::IsMember({"full", "write-back"}));
  verb.add_option("--quota", line.quota, "refuse what would make it larger than this: 64KiB, 10MiB, 2GiB, or none");
  verb.callback([&line, is_create = verb.get_name() == "create"] {
    if (!line.quota.empty()) line.ns.quota_bytes = line.quota == "none" ? 0 : bytes_of(line.quota);
    line.ns.is_create = is_create;
    line.ns.ttl_ms = lifetime_of(line.ttl);
    line.chosen = [&line] { return ns_set(line.common, line.ns); };
  });
}

void add_ns(CLI::App& app, CommandLine& line) {
  CLI::App* verb =
      app.add_subcommand("ns", "policies of namespaces: what holds where a request does not say otherwise");
  verb->require_subcommand(1);
  verb->fallthrough();
  verb->footer(
      "Examples:\n"
      "  kith ns create carts --conflict siblings    concurrent values are all kept and shown\n"
      "  kith ns create locks --conflict strong      a majority agrees on each write; --if-absent and --if-version\n"
      "  kith ns create news --ttl 24h --cache through    many read the same keys; see `kith top --keys`\n"
      "  kith ns create sensors --durability write-back --quota 64MiB\n"
      "  kith ns set carts -w 3\n"
      "  kith ns list");
  add_ns_changes(*verb->add_subcommand("create", "give a namespace a policy"), line);
  add_ns_changes(*verb->add_subcommand("set", "change what is said of a policy, and nothing else of it"), line);
  CLI::App* show = verb->add_subcommand("show", "one policy; exit code 1 where there is none");
  show->add_option("NAME", line.ns.name, "the namespace")->required();
  show->callback([&line] { line.chosen = [&line] { return ns_show(line.common, line.ns.name); }; });
  verb->add_subcommand("list", "all policies")->callback([&line] {
    line.chosen = [&line] { return ns_list(line.common); };
  });
}

void add_blob(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("blob", "chunks of blobs (`kith put --blob`)");
  verb->require_subcommand(1);
  verb->fallthrough();
  CLI::App* prune = verb->add_subcommand("prune", "free the chunks that no blob of the mesh refers to");
  prune->add_option("--older", line.age, "only those older than this: 3d, the default and, without --yes, the least");
  prune->add_flag("--dry-run", line.prune.is_dry, "say what would be freed");
  prune->add_flag("--yes", line.prune.is_sure, "say that nobody puts a blob now, on any device");
  prune->add_flag("--without-away", line.prune.without_away,
                  "say that devices that are away hold no blob that nobody else knows of");
  prune->footer(
      "Examples:\n"
      "  kith blob prune --dry-run\n"
      "  kith blob prune                     every member must answer\n"
      "  kith blob prune --older 1s --yes    at once, where nobody puts a blob meanwhile");
  prune->callback([&line] {
    if (!line.age.empty()) line.prune.older_ms = milliseconds_of(line.age);
    line.chosen = [&line] { return prune_blobs(line.common, line.prune); };
  });
}

void add_top(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("top", "what this device is asked for most");
  verb->add_flag("--keys", line.top.of_keys, "the keys that are read most, and whether they are lent")->required();
  verb->add_option("-n,--count", line.top.count, "so many of them (default 20)")->check(CLI::Range(1, 128));
  verb->footer("Example:\n  kith top --keys    every two seconds until Ctrl-C; in a pipe, or with --json, once");
  verb->callback([&line] { line.chosen = [&line] { return top_keys(line.common, line.top); }; });
}

void add_snapshots(CLI::App& app, CommandLine& line) {
  CLI::App* snapshot_verb = app.add_subcommand("snapshot", "copy the running daemon's database into a file");
  snapshot_verb->add_option("FILE", line.snapshot_file, "the file to be; kithd writes it")->required();
  snapshot_verb->footer(
      "Examples:\n"
      "  kith snapshot /var/lib/kith/monday    writes go on meanwhile; progress on a terminal\n"
      "  kith --json snapshot /srv/backup/kith    for a script: where it is, and how large");
  snapshot_verb->callback([&line] { line.chosen = [&line] { return snapshot(line.common, line.snapshot_file); }; });
  CLI::App* restore_verb = app.add_subcommand("restore", "bring a snapshot back: merged, or into a fresh --home");
  restore_verb->add_option("FILE", line.restore.file, "a file that `kith snapshot` made")->required();
  restore_verb->add_option("--after", line.restore.after, "go on from where an earlier restore ended");
  restore_verb->footer(
      "Examples:\n"
      "  kith restore /var/lib/kith/monday              merged: what was lost comes back, nothing newer is undone\n"
      "  kith --home /srv/kith restore /mnt/usb/monday  a fresh home: a new node in the same mesh");
  restore_verb->callback([&line] { line.chosen = [&line] { return restore(line.common, line.restore); }; });
}

void add_repair(CLI::App& app, CommandLine& line) {
  CLI::App* verb =
      app.add_subcommand("repair", "whether this device and the others hold the same, and how far they are");
  verb->add_flag("--now", line.repair.is_now, "compare with everybody at once, instead of in turn");
  verb->add_option("--wait", line.time_to_wait,
                   "until all is equal, at most so long: 90s, 10m, 24h; exit code 4 if not");
  verb->footer(
      "Examples:\n"
      "  kith repair                      a terminal looks on until all is equal; a pipe is told once\n"
      "  kith repair --now --wait 60s     compare now; 0 when all is equal, 4 after a minute\n"
      "  kith --json repair               the figures for a script");
  verb->callback([&line] {
    if (!line.time_to_wait.empty()) line.repair.wait_ms = milliseconds_of(line.time_to_wait);
    line.chosen = [&line] { return repair(line.common, line.repair); };
  });
}

void add_leave(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("leave", "hand over what this device holds, and leave the mesh for good");
  verb->add_flag("--cancel", line.leave.is_cancel, "take it back: this device stays, and is filled again");
  verb->add_option("--wait", line.time_to_wait,
                   "look on at most so long: 90s, 10m, 24h; exit code 4 if it is not over");
  verb->footer(
      "Examples:\n"
      "  kith leave              looks on until it is over; Ctrl-C ends the looking on, not the leaving\n"
      "  kith leave --wait 10m   for scripts: 0 when this device has left, 4 where it is still handing over\n"
      "  kith leave --cancel     stays");
  verb->callback([&line] {
    if (!line.time_to_wait.empty()) line.leave.wait_ms = milliseconds_of(line.time_to_wait);
    line.chosen = [&line] { return leave(line.common, line.leave); };
  });
}

void add_testnet(CLI::App& app, CommandLine& line) {
  CLI::App* verb = app.add_subcommand("testnet", "daemons on loopback in a temporary folder, and a shell");
  verb->add_option("N", line.testnet.nodes, "how many daemons (default 3)")->check(CLI::Range(1, 50));
  verb->add_flag("--run", line.has_run, "run a command instead of a shell: all words that follow");
  verb->footer("Example:\n  kith testnet 5 --run sh -c 'kith put a 1; kith members'");
  verb->callback([&line] {
    if (line.has_run && line.testnet.run.empty()) die(Exit::usage, "--run wants a command after it");
    line.chosen = [&line] { return testnet(line.testnet); };
  });
}

// `incr KEY -5`: the parser would take -5 for an option that there is not. After `--` nothing is one.
std::vector<std::string> amounts_as_options(std::vector<std::string> words) {
  const auto verb = std::ranges::find(words, "incr");
  for (auto word = verb; word != words.end() && *word != "--"; ++word) {
    const bool is_amount =
        word->size() > 1 && (*word)[0] == '-' && word->find_first_not_of("0123456789", 1) == std::string::npos;
    if (is_amount) *word = "--by=" + *word;
  }
  return words;
}

// Words up to and with the --run of a testnet: what follows belongs to another program, dashes and all.
int count_own_words(int count, char** words) {
  bool is_testnet = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--") break;
    if (is_testnet && word == "--run") return i + 1;
    is_testnet |= word == "testnet";
  }
  return count;
}

void build(CLI::App& app, CommandLine& line) {
  app.footer(footer);
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("-V,--version", KITH_VERSION, "print the version");
  app.add_option("--socket", line.common.socket.socket, "the daemon's socket");
  app.add_option("--home", line.common.socket.home, "the daemon's folder, as in kithd --home");
  app.add_flag("--json", line.common.json, "one JSON object a line, with stable field names");
  add_put(app, line);
  add_reads(app, line);
  add_del(app, line);
  add_incr(app, line);
  add_batches(app, line);
  add_list(app, line);
  add_watch(app, line);
  add_mesh(app, line);
  add_ns(app, line);
  add_blob(app, line);
  add_top(app, line);
  add_snapshots(app, line);
  add_repair(app, line);
  add_leave(app, line);
  add_testnet(app, line);
}

}  // namespace

int run(int count, char** words) try {
  CommandLine line;
  CLI::App app{"kith: a key-value store shared by your devices, without a server", "kith"};
  build(app, line);
  const int own = count_own_words(count, words);
  line.testnet.run.assign(words + own, words + count);
  try {
    std::vector<std::string> arguments = amounts_as_options({words + 1, words + own});
    std::ranges::reverse(arguments);  // as the parser wants them
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    die(Exit::usage, fmt::format("{}; `kith --help` shows how", error.what()));
  }
  const Exit result = line.chosen();
  std::cout.flush();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout) {
    die(Exit::internal, "not all of the output could be written");
  }
  return static_cast<int>(result);
} catch (const std::filesystem::filesystem_error& error) {
  die(Exit::internal, error.what());
} catch (const std::system_error& error) {  // fmt::print()'s
  die(Exit::internal, fmt::format("the output cannot be written: {}", error.code().message()));
}

}  // namespace kith::cli
