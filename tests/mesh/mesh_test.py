#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Daemons as people run them: join, put, get, kill -9, restart, bad input at every door."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import time

from _mesh import KITH, Client, Daemon, check, folder, mesh, run_tests, wait_for


def a_value_put_on_one_daemon_is_read_on_another():
    with mesh(2) as (first, second):
        put = first.kith("put", "greeting", "hello")
        check(put.returncode == 0, put.stderr)
        got = second.kith("get", "greeting")
        check((got.returncode, got.stdout) == (0, "hello"), f"{got}")
        located = second.kith("locate", "greeting")
        check("node1" in located.stdout and "node2" in located.stdout, located.stdout)


def a_daemon_started_with_an_invite_joins():
    with folder() as path:
        first = Daemon(path, "first").start()
        second = Daemon(path, "second")
        try:
            second.start("--join", first.kith("invite").stdout.strip())
            wait_for(lambda: first.alive() == 2 and second.alive() == 2, "both to know each other")
        finally:
            first.stop()
            second.stop()


def two_of_five_daemons_die_and_every_value_is_still_read():
    with mesh(5) as daemons:
        items = [{"key": f"k{i}", "value": f"v{i}".encode()} for i in range(300)]
        with contextlib.closing(daemons[0].client()) as client:
            result = client.ok("mput", items=items, wait="all", timeout_ms=10000)
            check(result["failed"] == 0, f"{result}")
        daemons[1].kill()
        daemons[3].kill()
        with contextlib.closing(daemons[4].client()) as client:
            for item in items:
                answer = client.ok("get", key=item["key"], timeout_ms=10000)
                check(answer["found"] and answer["values"][0]["value"] == item["value"], f"{answer}")


def a_large_import_cuts_no_stream():
    with mesh(3) as daemons:
        with contextlib.closing(daemons[0].client()) as client:
            for part in range(8):
                items = [{"key": f"k{part}/{i}", "value": b"x" * 2000} for i in range(1000)]
                result = client.ok("mput", items=items, wait="all", timeout_ms=10000)
                check(result["failed"] == 0, f"{result}")
        for daemon in daemons:
            with contextlib.closing(daemon.client()) as client:
                counters = client.ok("status")["counters"]
            check(counters["handshakes_done"] <= 12, f"streams were cut and made anew: {counters}")
            check(counters["over_budget"] == 0 and counters["dials_held_back"] == 0, f"{counters}")


def a_dead_daemon_is_routed_around_within_seconds_and_welcomed_back():
    with mesh(3) as daemons:
        daemons[2].kill()
        began = time.monotonic()
        wait_for(lambda: daemons[0].alive() == 2, "the dead one to be suspected", 10)
        check(time.monotonic() - began < 8, "that took too long")
        check(daemons[0].kith("put", "while-away", "written").returncode == 0, "a put with one of three away")
        daemons[2].start()
        wait_for(lambda: daemons[0].alive() == 3 and daemons[2].alive() == 3, "it to be back")
        wait_for(lambda: daemons[2].kith("get", "while-away", "-r", "3").stdout == "written", "it to hold the write")


def a_restarted_daemon_has_its_values_and_its_identity():
    with mesh(1) as (daemon,):
        check(daemon.kith("put", "kept", "through kill -9").returncode == 0, "put")
        node = daemon.ok("status")["node"]
        daemon.kill()
        daemon.start()
        check(daemon.kith("get", "kept").stdout == "through kill -9", "the value is gone")
        check(daemon.ok("status")["node"] == node, "another node id after a restart")


def a_joining_daemon_brings_its_own_records():
    with folder() as path:
        first, second = Daemon(path, "first").start(), Daemon(path, "second").start()
        try:
            check(second.kith("put", "mine", "from before").returncode == 0, "put alone")
            second.kith("join", input=first.kith("invite").stdout)
            wait_for(lambda: first.alive() == 2, "the join")
            wait_for(lambda: first.kith("get", "mine").stdout == "from before", "the record to come along")
        finally:
            first.stop()
            second.stop()


def exit_codes_tell_what_happened():
    with mesh(1) as (daemon,):
        check(daemon.kith("get", "nothing").returncode == 1, "absent is 1")
        check(daemon.kith("put").returncode == 2, "usage is 2")
        big = daemon.kith("put", "big", "--file", "/dev/stdin", input="x" * 70000)
        if big.returncode == 2:  # /dev/stdin is no file on some systems
            big = daemon.kith("put", "big", "-", input="x" * 70000)
        check(big.returncode == 6 and "65536" in big.stderr, f"too large is 6 and names the limit: {big}")
        huge = daemon.kith("put", "huge", "-", input="x" * (6 << 20))
        check(huge.returncode == 6 and "4194304" in huge.stderr, f"above what a request may have is 6: {huge}")
        with open("/dev/full", "wb") as full:
            check(daemon.kith("put", "small", "v").returncode == 0, "put")
            lost = subprocess.run([KITH, "--home", daemon.home, "get", "small"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        check(lost.returncode == 7 and "written" in lost.stderr, f"output that is lost is 7: {lost}")
        long_key = daemon.kith("put", "k" * 1100, "v")
        check(long_key.returncode == 6 and "1024" in long_key.stderr, f"{long_key}")
        foreign = daemon.kith("put", "@" + "a" * 52 + "/x", "v")
        check(foreign.returncode == 6, f"somebody else's key: {foreign}")
    nobody = subprocess.run([KITH, "--socket", "/nonexistent/kith.sock", "status"], capture_output=True, text=True)
    check(nobody.returncode == 5 and nobody.stderr.count("\n") == 1, f"{nobody}")


def members_whose_ports_have_changed_find_each_other_by_multicast():
    with mesh(2) as daemons:
        for daemon in daemons:
            daemon.stop()
            daemon.discovery = []
        for daemon in daemons:
            daemon.start()
        for daemon in daemons:
            wait_for(lambda: daemon.alive() == 2, f"{daemon.name} to find the other one")


def a_second_daemon_on_the_folder_names_the_first():
    with mesh(1) as (daemon,):
        first = daemon.process
        second = daemon.spawn()
        second.wait(timeout=10)
        text = daemon.log_text()
        daemon.process = first
        check(second.returncode != 0 and str(first.pid) in text, f"{second.returncode}: {text[-400:]}")


def a_busy_port_asked_for_by_name_is_refused():
    with folder() as path, contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as busy:
        busy.bind(("127.0.0.1", 0))
        port = busy.getsockname()[1]
        daemon = Daemon(path, "node")
        process = daemon.spawn("--listen", f"127.0.0.1:{port}")
        process.wait(timeout=10)
        check(process.returncode != 0 and str(port) in daemon.log_text(), daemon.log_text()[-400:])


def a_node_key_that_others_can_read_is_refused():
    with mesh(1) as (daemon,):
        key = daemon.home / "node.key"
        check(stat.S_IMODE(key.stat().st_mode) == 0o600, "the key is not 0600")
        daemon.stop()
        key.chmod(0o644)
        process = daemon.spawn()
        process.wait(timeout=10)
        check(process.returncode != 0 and "node.key" in daemon.log_text(), daemon.log_text()[-400:])


def a_mistaken_config_names_the_line_and_the_nearest_key():
    with folder() as path:
        daemon = Daemon(path, "node")
        (daemon.home / "kith.toml").write_text('[node]\nnme = "x"\n')
        process = daemon.spawn()
        process.wait(timeout=10)
        text = daemon.log_text()
        check(process.returncode != 0, text)
        check("nme" in text and "name" in text and ":2" in text.replace("line 2", ":2"), text)


def garbage_on_the_socket_is_answered_and_closed():
    with mesh(1) as (daemon,):
        for garbage in (b"\xc1" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\xdd\xff\xff\xff\xff", b"\x93\x00\x01" + b"\xa1"):
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as raw:
                raw.settimeout(5)
                raw.connect(str(daemon.socket))
                raw.sendall(garbage)
                raw.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    while raw.recv(4096):
                        pass
        check(daemon.answers(), "the daemon no longer answers")


def garbage_on_the_port_is_met_with_silence():
    with mesh(1) as (daemon,):
        port = daemon.ok("status")["port"]
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as raw:
            raw.settimeout(0.3)
            for size in (0, 1, 4, 32, 64, 192, 236, 237, 1200, 9000):
                for first in (0, 1, 2, 3, 4, 255):
                    raw.sendto(bytes([first]) + os.urandom(max(size - 1, 0)), ("127.0.0.1", port))
            with contextlib.suppress(socket.timeout):
                raise AssertionError(f"answered: {raw.recv(2048)!r}")
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=8)) as stream:
            stream.sendall(os.urandom(5000))
            with contextlib.suppress(ConnectionError):
                check(stream.recv(4096) == b"", "a stranger's stream was answered")
        check(daemon.answers(), "the daemon no longer answers")


def what_was_exported_is_imported_whole_through_a_pipe():
    with mesh(1) as (first,), mesh(1) as (second,):
        with contextlib.closing(first.client()) as client:
            client.ok("put", key=b"bytes\xff", value=b"\x00\xff")
            client.ok("put", key="kept", value=b"for ever")
            client.ok("put", key="fleeting", value=b"for an hour", ttl_ms=3_600_000)
        exported = first.kith("export")
        check(exported.returncode == 0 and exported.stdout.count("\n") == 3, f"{exported}")
        imported = second.kith("import", "/dev/stdin", input=exported.stdout)
        check(imported.returncode == 0 and "3 keys" in imported.stderr, f"{imported}")
        with contextlib.closing(second.client()) as client:
            check(client.ok("get", key=b"bytes\xff")["values"][0]["value"] == b"\x00\xff", "the bytes")
            check("expires_ms" not in client.ok("get", key="kept")["values"][0], "this one does not expire")
            check(client.ok("get", key="fleeting")["values"][0]["expires_ms"] > 0, "this one does")
        check(second.kith("import", str(second.home)).returncode != 0, "a folder is no file")


def a_home_whose_path_cannot_be_looked_up_is_refused_with_the_cause():
    with folder() as path:
        daemon = Daemon(path, "node")
        process = daemon.spawn("--config", "/" + "a" * 300 + "/kith.toml")
        process.wait(timeout=10)
        check(process.returncode == 78 and "too long" in daemon.log_text(), daemon.log_text()[-400:])


def a_client_that_stops_reading_is_closed_and_harms_nobody():
    with mesh(1) as (daemon,):
        with contextlib.closing(daemon.client()) as client:
            client.ok("put", key="large", value=b"x" * 60000)
        with contextlib.closing(daemon.client()) as lazy:
            with contextlib.suppress(OSError):
                for _ in range(3000):
                    lazy.send("get", key="large")
            wait_for(lambda: daemon.answers(), "the daemon to answer others")
            check(daemon.ok("get", key="large")["found"], "others are served")
            wait_for(lambda: daemon.ok("status")["requests"]["clients"] == 1, "it to be closed", 60)


def answers_to_come_wait_for_a_client_that_reads_slowly():
    keys = [f"large{i}" for i in range(100)]
    with mesh(1) as (daemon,), contextlib.closing(daemon.client()) as client:
        for key in keys:
            client.ok("put", key=key, value=b"x" * 60000)
        asked = {client.send("mget", keys=keys) for _ in range(4)}
        check(daemon.ok("status")["requests"]["clients"] == 2, "it is served on")
        items = 0
        while asked:  # four times what may wait for a client, and it reads some at a time
            kind, *rest = client.receive()
            items += kind == 2 and rest[0] == "item"
            if kind == 1:
                check(rest[1] is None, f"{rest}")
                asked.discard(rest[0])
        check(items == 4 * len(keys), f"{items} values")


def sigterm_ends_a_daemon_within_five_seconds():
    with mesh(2) as (first, second):
        began = time.monotonic()
        first.process.send_signal(signal.SIGTERM)
        first.process.wait(timeout=8)
        check(time.monotonic() - began < 5, "it took longer")
        check(first.process.returncode == 0, f"exit code {first.process.returncode}")


run_tests(
    a_value_put_on_one_daemon_is_read_on_another,
    a_daemon_started_with_an_invite_joins,
    two_of_five_daemons_die_and_every_value_is_still_read,
    a_large_import_cuts_no_stream,
    a_dead_daemon_is_routed_around_within_seconds_and_welcomed_back,
    a_restarted_daemon_has_its_values_and_its_identity,
    a_joining_daemon_brings_its_own_records,
    exit_codes_tell_what_happened,
    members_whose_ports_have_changed_find_each_other_by_multicast,
    a_second_daemon_on_the_folder_names_the_first,
    a_busy_port_asked_for_by_name_is_refused,
    a_node_key_that_others_can_read_is_refused,
    a_mistaken_config_names_the_line_and_the_nearest_key,
    garbage_on_the_socket_is_answered_and_closed,
    garbage_on_the_port_is_met_with_silence,
    what_was_exported_is_imported_whole_through_a_pipe,
    a_home_whose_path_cannot_be_looked_up_is_refused_with_the_cause,
    answers_to_come_wait_for_a_client_that_reads_slowly,
    a_client_that_stops_reading_is_closed_and_harms_nobody,
    sigterm_ends_a_daemon_within_five_seconds,
)
