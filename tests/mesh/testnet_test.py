#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`kith testnet`: daemons in a temporary folder, and a command inside."""

import os
import pathlib
import signal
import subprocess

from _mesh import KITH, check, run_tests


def testnet(*words):
    return subprocess.run([KITH, "testnet", *words], capture_output=True, text=True, timeout=60, check=False)


def the_command_of_a_testnet_keeps_its_own_options():
    script = 'kith put a "$1" && kith get a && kith --json members && echo "$KITH_TESTNET"'
    done = testnet("3", "--run", "sh", "-c", script, "sh", "1")
    check(done.returncode == 0, f"exit {done.returncode}: {done.stderr}")
    lines = done.stdout.splitlines()
    check(any(line.startswith("1") for line in lines), f"no value: {done.stdout}")
    check(done.stdout.count('"state"') == 3, f"not three members: {done.stdout}")
    check(not pathlib.Path(lines[-1]).exists(), "the folder is still there")


def a_testnet_ends_with_the_exit_code_of_its_command():
    check(testnet("1", "--run", "sh", "-c", "exit 9").returncode == 9, "not the command's exit code")


def hear_a_hangup():
    """A shell may have started this test under nohup, and what is ignored stays so in a child."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def a_testnet_that_is_ended_leaves_nothing_running():
    for how in (signal.SIGTERM, signal.SIGHUP):
        with subprocess.Popen([KITH, "testnet", "2", "--run", "sh", "-c", 'echo "$KITH_TESTNET"; exec sleep 60'],
                              stdout=subprocess.PIPE, text=True, preexec_fn=hear_a_hangup) as process:
            path = pathlib.Path(process.stdout.readline().strip())
            sockets = list(path.glob("node*/kith.sock"))
            check(len(sockets) == 2, f"{path} holds {sockets}")
            process.send_signal(how)
            process.wait(timeout=20)
            check(not path.exists(), f"the folder is still there after {how}")


def a_testnet_whose_command_is_missing_is_refused():
    done = testnet("--run")
    check(done.returncode == 2, f"exit {done.returncode}")
    check("--run" in done.stderr, done.stderr)


def another_verb_does_not_take_a_run():
    done = subprocess.run([KITH, "get", "testnet", "--run", "sh"], capture_output=True, text=True, check=False,
                          timeout=60, env={**os.environ, "KITH_SOCKET": "/nowhere"})
    check(done.returncode == 2, f"exit {done.returncode}: {done.stderr}")


run_tests(the_command_of_a_testnet_keeps_its_own_options,
          a_testnet_ends_with_the_exit_code_of_its_command,
          a_testnet_that_is_ended_leaves_nothing_running,
          a_testnet_whose_command_is_missing_is_refused,
          another_verb_does_not_take_a_run)
