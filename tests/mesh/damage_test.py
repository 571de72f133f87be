#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Disks that fail: flipped bits, no room, no right to write.

No wrong value is served, and nothing acknowledged is lost.

  tests/mesh/damage_test.py [FLIPS]
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys

from _mesh import KITHD, Daemon, Failed, Skipped, check, folder, mesh, run_tests, wait_for

FLIPS = int(sys.argv[1]) if len(sys.argv) > 1 else 12
SEED = 20261121
KEYS = 200


def value_of(number):
    return f"value {number} ".encode() * 12


def read_all(daemon):
    """(right, missing, wrong) of all keys, read through this daemon."""
    right = missing = wrong = 0
    with contextlib.closing(daemon.client()) as client:
        request = client.send("mget", keys=[f"k{i}" for i in range(KEYS)], timeout_ms=5000)
        while True:
            message = client.receive()
            if message[0] == 1 and message[1] == request:
                check(message[2] is None, f"mget failed: {message[2]}")
                return right, missing, wrong
            answer = message[2]
            if not answer.get("found"):
                missing += 1
            elif answer["values"][0]["value"] == value_of(answer["index"]):
                right += 1
            else:
                wrong += 1


def flip_bit(path, dice):
    with open(path, "r+b") as file:
        offset = dice.randrange(os.path.getsize(path))
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << dice.randrange(8))]))
    return offset


def a_flipped_bit_serves_no_wrong_value_and_stops_no_daemon():
    dice = random.Random(SEED)
    with mesh(3) as daemons:
        victim = daemons[2]
        with contextlib.closing(daemons[0].client()) as client:
            items = [{"key": f"k{i}", "value": value_of(i)} for i in range(KEYS)]
            check(client.ok("mput", items=items, wait="all", timeout_ms=10000)["failed"] == 0, "mput")
        # Where its page of contacts is hit, the others find it again at the address they know.
        victim.listen = f"127.0.0.1:{victim.ok('status')['port']}"
        victim.stop()
        database = victim.home / "kith.db"
        whole = victim.home.parent / "whole.db"
        shutil.copy(database, whole)
        total_missing = 0
        for _ in range(FLIPS):
            for leftover in victim.home.glob("kith.db*"):
                leftover.unlink()
            shutil.copy(whole, database)
            offset = flip_bit(database, dice)
            victim.start()
            wait_for(lambda: victim.alive() == 3, f"the mesh to be whole after offset {offset}", 60)
            right, missing, wrong = read_all(victim)
            total_missing += missing
            check(wrong == 0, f"offset {offset}: {wrong} wrong values served")
            check(right == KEYS, f"offset {offset}: {right} right, {missing} missing with two good replicas")
            check(victim.process.poll() is None, f"offset {offset}: the daemon ended")
            victim.stop()
        size = os.path.getsize(whole)
        print(f"   {FLIPS} flips of one bit in {size:,} bytes: 0 wrong values, 0 crashes, {total_missing} missing")


def mount_small(path, kilobytes):
    path.mkdir()
    result = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", path], capture_output=True)
    return result.returncode == 0


def a_full_disk_refuses_writes_clearly_and_keeps_what_was_acknowledged():
    with folder() as path:
        if not mount_small(path / "small", 4096):
            raise Skipped("mounting a tmpfs is not permitted here")
        daemon = Daemon(path / "small", "node")
        acknowledged = []
        error = None
        try:
            daemon.start("--set", "storage.reserve_bytes=0")
            with contextlib.closing(daemon.client()) as client:
                for number in range(2000):
                    try:
                        error, _ = client.call("put", key=f"k{number}", value=os.urandom(8000), timeout_ms=5000)
                    except (ConnectionError, OSError) as hung_up:
                        error = {"message": str(hung_up)}
                    if error is not None:
                        break
                    acknowledged.append(number)
            check(error is not None, "a disk of 4 MiB took 16 MiB")
            code = daemon.process.wait(timeout=10)  # it ends by itself
            said = daemon.log_text()
            check(code == 74 and "the disk is full; make room" in said, f"{code}: {said[-400:]}")
            subprocess.run(["mount", "-o", "remount,size=64m", path / "small"], check=True)
            daemon.start()
            with contextlib.closing(daemon.client()) as client:
                lost = [n for n in acknowledged if not client.ok("get", key=f"k{n}")["found"]]
            check(not lost, f"{len(lost)} of {len(acknowledged)} acknowledged writes are gone")
            check(len(acknowledged) > 20, f"only {len(acknowledged)} writes fitted")
            print(f"   {len(acknowledged)} writes fitted; the next was refused: {error.get('message', error)}")
        finally:
            with contextlib.suppress(Failed):
                daemon.stop()
            subprocess.run(["umount", "-l", path / "small"], check=False)


def a_folder_that_cannot_be_written_is_named():
    with folder() as path:
        (path / "file").write_text("not a folder")
        result = subprocess.run([KITHD, "--home", path / "file" / "inside", "--no-discovery"],
                                capture_output=True, timeout=10)
        text = result.stderr.decode()
        check(result.returncode > 0 and "/file" in text, f"{result.returncode}: {text}")


run_tests(
    a_flipped_bit_serves_no_wrong_value_and_stops_no_daemon,
    a_full_disk_refuses_writes_clearly_and_keeps_what_was_acknowledged,
    a_folder_that_cannot_be_written_is_named,
)
