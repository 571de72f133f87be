#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Blobs on real daemons: put, interrupted and gone on with, fetched elsewhere, and freed.

  tests/mesh/blob_test.py             a few MB on three daemons
  tests/mesh/blob_test.py MEGABYTES   the same file on five daemons, interrupted while it is sent, with figures
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from _mesh import KITH, check, folder, mesh, run_tests, wait_for

MEGABYTES = int(sys.argv[1]) if len(sys.argv) > 1 else 0
CHUNK = 65536
WINDOW = 64  # chunks that the command reads before it asks for them
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def make_file(path, size):
    path.write_bytes(os.urandom(size))
    return path


def hashes_of(data):
    return [hashlib.blake2b(data[at:at + CHUNK], digest_size=32).digest() for at in range(0, len(data), CHUNK)]


def blob_key(digest):
    bits = "".join(f"{byte:08b}" for byte in digest).ljust(260, "0")
    return "blob/" + "".join(ALPHABET[int(bits[at:at + 5], 2)] for at in range(0, 260, 5))


def safe_chunks(daemon, hashes):
    """How many of them need not be sent again, by what their replicas say."""
    safe = 0
    for first in range(0, len(hashes), 128):
        for each in daemon.ok("chunks", hashes=hashes[first:first + 128], timeout_ms=10000)["chunks"]:
            safe += each["copies"] + (each["away"] if each["own"] else 0) >= each["needed"]
    return safe


def put(daemon, key, file, *words):
    done = daemon.kith("--json", "put", key, "--blob", "--file", str(file), *words, timeout=300)
    check(done.returncode == 0, f"put: {done.stderr}")
    return json.loads(done.stdout)


def fetch(daemon, key, file):
    done = daemon.kith("--json", "get", key, "--output", str(file), timeout=300)
    check(done.returncode == 0, f"get: {done.stderr}")
    return json.loads(done.stdout)


def prune(daemon, *words):
    done = daemon.kith("--json", "blob", "prune", *words, timeout=120)
    check(done.returncode == 0, f"prune: {done.stderr}")
    return json.loads(done.stdout)


def spawn(daemon, *words, **options):
    return subprocess.Popen([KITH, "--home", daemon.home, "--json", *words], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def end(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def is_equal(a, b):
    return pathlib.Path(a).read_bytes() == pathlib.Path(b).read_bytes()


def a_put_that_was_killed_goes_on_without_the_chunks_that_are_finished():
    """The command reads a pipe, so that it stands half way for certain; a daemon is killed between two windows."""
    with folder() as path, mesh(3) as (first, second, third):
        film = make_file(path / "film", 11 * 1024 * 1024 + 12345)
        data = film.read_bytes()
        hashes = hashes_of(data)
        command = spawn(first, "put", "film", "-", "--blob", stdin=subprocess.PIPE)
        command.stdin.write(data[:(WINDOW + 3) * CHUNK])
        command.stdin.flush()
        wait_for(lambda: safe_chunks(second, hashes) >= WINDOW // 2, "half a window to be finished")
        third.kill()
        command.stdin.write(data[(WINDOW + 3) * CHUNK:(2 * WINDOW + 3) * CHUNK])
        command.stdin.flush()
        wait_for(lambda: safe_chunks(second, hashes) >= WINDOW * 3 // 2, "a window and a half to be finished", 60)
        end(command)
        finished = safe_chunks(first, hashes)
        receipt = put(first, "film", film)
        check(receipt["bytes"] == len(data) and receipt["chunks"] == len(hashes), f"another file: {receipt}")
        check(receipt["sent"] <= len(hashes) - finished, f"{finished} were finished, and sent again: {receipt}")
        check(put(second, "film", film)["sent"] == 0, "another device sends what is there")
        third.start()
        fetch(third, "film", path / "copy")
        check(is_equal(film, path / "copy"), "what was fetched is another file")
        print(f"   {len(hashes)} chunks, {finished} finished when the command was killed, "
              f"{receipt['sent']} sent after it")


def a_put_whose_daemon_dies_says_to_run_it_again_and_then_goes_on():
    with folder() as path, mesh(3) as (first, second, third):
        film = make_file(path / "film", 9 * 1024 * 1024)
        data = film.read_bytes()
        hashes = hashes_of(data)
        command = spawn(first, "put", "film", "--blob", stdin=subprocess.PIPE)
        command.stdin.write(data[:(WINDOW + 3) * CHUNK])
        command.stdin.flush()
        wait_for(lambda: safe_chunks(second, hashes) >= WINDOW // 2, "half a window to be finished")
        first.kill()
        with contextlib.suppress(BrokenPipeError):  # it has noticed already
            command.stdin.write(data[(WINDOW + 3) * CHUNK:])
        command.stdin.close()
        command.stdin = None
        _, complaint = command.communicate(timeout=30)
        check(command.returncode == 5 and b"run the same command again" in complaint, f"it said {complaint}")
        first.start()
        wait_for(lambda: first.alive() == 3, "the daemon to be back")
        finished = safe_chunks(first, hashes)
        receipt = put(first, "film", film)
        check(receipt["sent"] <= len(hashes) - finished, f"{finished} were finished, and sent again: {receipt}")


def a_fetch_goes_on_with_what_is_there_and_notices_what_is_wrong_in_it():
    with folder() as path, mesh(3) as (first, second, third):
        film = make_file(path / "film", 5 * 1024 * 1024 + 77)
        data = film.read_bytes()
        count = len(hashes_of(data))
        put(first, "film", film)
        part = bytearray(data[:40 * CHUNK] + bytes(1024))
        part[3 * CHUNK + 5] ^= 1
        (path / "copy.part").write_bytes(part)
        done = fetch(second, "film", path / "copy")
        check(done["kept"] == 39 and done["fetched"] == count - 39, f"kept and fetched: {done}")
        check(is_equal(film, path / "copy") and not (path / "copy.part").exists(), "it is another file")
        command = spawn(third, "get", "film", "--output", path / "killed")
        wait_for(lambda: (path / "killed.part").exists() or (path / "killed").exists(), "the fetch to begin")
        end(command)
        fetch(third, "film", path / "killed")
        check(is_equal(film, path / "killed"), "it is another file after a kill")
        raw = third.kith("get", "film", text=False, input=None)
        check(raw.returncode == 0 and raw.stdout == data, "stdout has another file")


def a_missing_chunk_is_named_and_a_put_brings_it_back():
    with folder() as path, mesh(3) as (first, second, third):
        film = make_file(path / "film", 1024 * 1024)
        hashes = hashes_of(film.read_bytes())
        put(first, "film", film, "--wait", "all")
        lost = blob_key(hashes[7])
        check(second.kith("del", lost).returncode == 0, "del")
        done = second.kith("get", "film", "--output", str(path / "copy"))
        check(done.returncode == 1 and f"chunk 8 of 16 ({lost}" in done.stderr, f"it said: {done.stderr}")
        check(put(third, "film", film)["sent"] == 1, "more than one was sent")
        check(fetch(second, "film", path / "copy")["fetched"] == 1, "what was there was fetched again")
        check(is_equal(film, path / "copy"), "it is another file")


def what_a_blob_is_can_be_seen_and_carried_elsewhere():
    with folder() as path, mesh(1) as (first,), mesh(1) as (other,):
        film = make_file(path / "film", 300_000)
        receipt = put(first, "films/one", film, "--ttl", "1h")
        check(receipt["chunks"] == 5, f"{receipt}")
        first.kith("put", "plain", "text")
        value = first.ok("get", key="films/one")["values"][0]
        check(value["manifest"] == {"bytes": 300_000, "chunk_bytes": CHUNK, "chunks": 5}, f"{value}")
        check("expires_ms" in value, "it does not expire")
        check("chunks    5 of" in first.kith("get", "films/one", "--meta").stdout, "--meta")
        check(first.kith("ls", "--blobs").stdout == "films/one\n", "ls --blobs")
        check(first.kith("get", "plain", "--output", str(path / "plain")).returncode == 0, "a plain value")
        check((path / "plain").read_text() == "text", "a plain value in a file")
        error, _ = first.client().call("put", key="a", value=b"no manifest", manifest=True)
        check(error and error["code"] == "invalid", f"{error}")
        lines = first.kith("export").stdout
        check(other.kith("import", "-", input=lines).returncode == 0, "import")
        fetch(other, "films/one", path / "copy")
        check(is_equal(film, path / "copy"), "it is another file elsewhere")
        nothing = make_file(path / "nothing", 0)
        put(first, "nothing", nothing)
        fetch(first, "nothing", path / "empty")
        check((path / "empty").stat().st_size == 0, "an empty file")


def chunks_are_freed_that_nobody_refers_to_and_no_others():
    with folder() as path, mesh(3) as (first, second, third):
        one = make_file(path / "one", 40 * CHUNK)
        two = path / "two"
        two.write_bytes(one.read_bytes()[:10 * CHUNK] + os.urandom(5 * CHUNK))
        put(first, "one", one)
        check(put(second, "two", two)["present"] == 10, "chunks are not shared")
        check(first.kith("del", "one").returncode == 0, "del")
        young = prune(third)
        check(young["freed"] == 0 and young["young"] == 30, f"young chunks: {young}")
        refused = third.kith("blob", "prune", "--older", "1h")
        check(refused.returncode == 2 and "--yes" in refused.stderr, f"it said: {refused.stderr}")
        now = ("--older", "1ms", "--yes")
        check(prune(third, *now, "--dry-run")["freed"] == 30, "a dry run")
        freed = prune(third, *now)
        check(freed["freed"] == 30 and freed["freed_bytes"] == 30 * CHUNK, f"{freed}")
        check(freed["referenced"] == 15 and freed["blobs"] == 1, f"{freed}")
        check(prune(second, *now)["freed"] == 0, "something was freed twice")
        fetch(third, "two", path / "copy")
        check(is_equal(two, path / "copy"), "a blob lost a chunk")
        check(put(second, "one", one)["sent"] == 30, "freed chunks are taken for present")
        fetch(first, "one", path / "copy")
        check(is_equal(one, path / "copy"), "chunks that were freed and put again are not there")
        third.kill()
        wait_for(lambda: first.alive() == 2, "the others to notice")
        refused = first.kith("blob", "prune", *now)
        check(refused.returncode == 4 and "node3" in refused.stderr, f"it said: {refused.stderr}")
        check(prune(first, *now, "--without-away")["freed"] == 0, "something was freed that is referred to")
        third.start()


# ---- with figures

def rate(size, seconds):
    return f"{size / seconds / 1e6:.0f} MB/s"


def timed(action):
    began = time.monotonic()
    result = action()
    return result, time.monotonic() - began


def copy_and_sync(source, target):
    shutil.copyfile(source, target)
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def a_large_file_survives_kills_on_five_daemons():
    size = MEGABYTES * 1_000_000
    with folder() as path, mesh(5) as daemons:
        first, second, third, fourth, _ = daemons
        film = make_file(path / "film", size)
        hashes = hashes_of(film.read_bytes())
        command = spawn(first, "put", "film", "--blob", "--file", film)
        wait_for(lambda: safe_chunks(second, hashes) > len(hashes) * 4 // 10, "four tenths to be sent", 120)
        check(command.poll() is None, "the command was too quick to be killed")
        third.kill()
        wait_for(lambda: safe_chunks(second, hashes) > len(hashes) * 5 // 10 or command.poll() is not None,
                 "half of it to be sent", 120)
        end(command)
        finished = safe_chunks(first, hashes)
        receipt, seconds = timed(lambda: put(first, "film", film))
        check(receipt["sent"] <= len(hashes) - finished, f"{finished} were finished, and sent again: {receipt}")
        print(f"   {len(hashes)} chunks: {finished} finished at the kill, {receipt['sent']} sent after it "
              f"in {seconds:.1f} s")
        fetching = spawn(fourth, "get", "film", "--output", path / "copy")
        wait_for(lambda: (path / "copy.part").exists(), "the fetch to begin")
        time.sleep(0.3)  # into the midst of it, wherever that is
        end(fetching)
        done = fetch(fourth, "film", path / "copy")
        check(is_equal(film, path / "copy"), "what was fetched is another file")
        print(f"   fetched from another daemon after a kill: {done['kept']} chunks kept, {done['fetched']} fetched")
        third.start()
        wait_for(lambda: first.alive() == 5, "all to be alive")
        print_figures(path, daemons, size)


def print_figures(path, daemons, size):
    other = make_file(path / "other", size)
    _, copied = timed(lambda: copy_and_sync(other, path / "raw"))
    _, hashed = timed(lambda: hashes_of(other.read_bytes()))
    receipt, put_seconds = timed(lambda: put(daemons[0], "other", other))
    again, again_seconds = timed(lambda: put(daemons[0], "other", other))
    _, fetched = timed(lambda: fetch(daemons[3], "other", path / "fetched"))
    _, verified = timed(lambda: (os.rename(path / "fetched", path / "fetched.part"),
                                 fetch(daemons[3], "other", path / "fetched")))
    check(is_equal(other, path / "fetched"), "what was fetched is another file")
    check(again["sent"] == 0, "chunks were sent again")
    print(f"   {size / 1e6:.0f} MB on five daemons, N = 3, W = 2: in {rate(size, put_seconds)} "
          f"({receipt['sent']} chunks), put again {again_seconds:.1f} s, out {rate(size, fetched)}, "
          f"checked again {rate(size, verified)}; cp and sync {rate(size, copied)}, hashing {rate(size, hashed)}")
    daemons[0].kith("del", "other")
    freed, prune_seconds = timed(lambda: prune(daemons[1], "--older", "1ms", "--yes"))
    print(f"   prune: {freed['freed']} of {freed['chunks']} chunks freed in {prune_seconds:.1f} s")


if MEGABYTES:
    run_tests(a_large_file_survives_kills_on_five_daemons)
run_tests(a_put_that_was_killed_goes_on_without_the_chunks_that_are_finished,
          a_put_whose_daemon_dies_says_to_run_it_again_and_then_goes_on,
          a_fetch_goes_on_with_what_is_there_and_notices_what_is_wrong_in_it,
          a_missing_chunk_is_named_and_a_put_brings_it_back,
          what_a_blob_is_can_be_seen_and_carried_elsewhere,
          chunks_are_freed_that_nobody_refers_to_and_no_others)
