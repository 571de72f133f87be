#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/run must never make a failure, a crash or a silence look like a pass."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Name of the case, what the suite does (shell), the sum expected, the exit code expected.
CASES = (
    ("a Catch2 program that passes is counted by its cases",
     "echo 'All tests passed (9 assertions in 4 test cases)'", "4 passed, 0 failed, 0 skipped", 0),
    ("a Catch2 program that fails is counted by its cases",
     "echo 'test cases: 5 | 3 passed | 2 failed'; exit 2", "3 passed, 2 failed, 0 skipped", 1),
    ("a Catch2 case that says it skips is not counted as passed",
     "echo 'skip vectors no file'; echo 'All tests passed (9 assertions in 4 test cases)'",
     "3 passed, 0 failed, 1 skipped", 0),
    ("a script is counted by its lines",
     "echo ok a; echo not ok b; echo skip c no tool; exit 1", "1 passed, 1 failed, 1 skipped", 1),
    ("a failed line fails the run whatever the exit code",
     "echo ok a; echo not ok b", "1 passed, 1 failed, 0 skipped", 1),
    ("a crash after passes is a failure", "echo ok a; kill -SEGV $$", "1 passed, 1 failed, 0 skipped", 1),
    ("a suite that says nothing is a failure", "true", "0 passed, 1 failed, 0 skipped", 1),
    ("a suite that does not end is stopped and is a failure",
     "echo ok a; sleep 60", "1 passed, 1 failed, 0 skipped", 1),
    ("a run of the simulator is counted by its seeds", "echo '18 seeds passed, 2 failed'; exit 1",
     "18 passed, 2 failed, 0 skipped", 1),
    ("a word that only begins like a verdict is not one", "echo okay; echo ok a", "1 passed, 0 failed, 0 skipped", 0),
)


def sums_to(script, expected, code):
    environment = {**os.environ, "TEST_TIMEOUT": "2"}
    command = "/bin/sh -c " + "'" + script.replace("'", "'\\''") + "'"
    run = subprocess.run([ROOT / "tests/run", command], capture_output=True, text=True, check=False, env=environment)
    return run.stdout.splitlines()[-1] == expected and run.returncode == code


def main():
    outcomes = [(name, sums_to(script, expected, code)) for name, script, expected, code in CASES]
    for name, passed in outcomes:
        print(f"{'ok' if passed else 'not ok'} runner: {name}")
    return 0 if all(passed for _, passed in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
