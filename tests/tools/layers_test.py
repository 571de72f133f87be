#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants wrong includes and calls in a scratch tree and expects tools/layers to refuse each of them."""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Name of the case, file, line planted there.
REFUSED = (
    ("crypto may not know the protocol", "crypto/hash.cpp", '#include "dht/model/id.h"'),
    ("dht may not know the store", "dht/node.cpp", '#include "store/sqlite_store.h"'),
    ("dht may not know the daemon", "dht/model/id.h", '#include "daemon/driver.h"'),
    ("overlay may not know liveness", "dht/overlay/table.cpp", '#include "dht/liveness/membership.h"'),
    ("replication may not know overlay", "dht/replication/write.cpp", '#include "dht/overlay/table.h"'),
    ("model may not know the node", "dht/model/outputs.h", '#include "dht/node.h"'),
    ("the store may not know the daemon", "store/sqlite_store.cpp", '#include "daemon/config.h"'),
    ("the cli may not know the store", "cli/put.cpp", '#include "store/sqlite_store.h"'),
    ("an example may know only the public header", "examples/notes.cpp", '#include "daemon/client.h"'),
    ("msgpack stays in the wire file", "dht/node.cpp", "#include <msgpack.hpp>"),
    ("libsodium stays in crypto", "dht/model/id.cpp", "#include <sodium.h>"),
    ("SQLite stays in the store", "daemon/driver.cpp", "#include <sqlite3.h>"),
    ("libuv stays in the daemon", "cli/main.cpp", "#include <uv.h>"),
    ("toml++ stays in the daemon", "cli/main.cpp", "#include <toml++/toml.h>"),
    ("JSON stays in the cli", "daemon/control.cpp", "#include <nlohmann/json.hpp>"),
    ("the core opens no socket", "dht/host.cpp", "#include <sys/socket.h>"),
    ("the core opens no file", "crypto/keys.cpp", "#include <fstream>"),
    ("the core reads no clock", "dht/node.cpp", "auto t = std::chrono::steady_clock::now();"),
    ("the store reads no clock", "store/sqlite_store.cpp", "auto t = std::chrono::system_clock::now();"),
    ("the core draws no entropy", "dht/node.cpp", "std::random_device device;"),
    ("the core calls no rand", "dht/node.cpp", "int r = rand();"),
    ("crypto draws no entropy", "crypto/keys.cpp", "randombytes_buf(seed, 32);"),
    ("crypto makes no keys from nothing", "crypto/keys.cpp", "crypto_sign_keypair(pk, sk);"),
    ("the core has no locks", "dht/node.h", "std::mutex mutex_;"),
    ("the core has no threads", "dht/node.h", "std::thread worker_;"),
    ("an include starts at the root", "dht/node.cpp", '#include "node.h"'),
)

ALLOWED = (
    ("node knows every part of dht", "dht/node.cpp", '#include "dht/overlay/table.h"'),
    ("the wire file reads msgpack", "dht/wire.cpp", "#include <msgpack.hpp>"),
    ("crypto uses libsodium", "crypto/hash.cpp", "#include <sodium.h>"),
    ("the store uses SQLite and a thread", "store/sqlite_store.cpp", "#include <sqlite3.h>\n#include <thread>"),
    ("a comment may name a clock", "dht/node.cpp", "// The caller reads steady_clock::now() and passes it in."),
    ("a string may name a thread", "dht/node.cpp", 'const char* text = "std::thread";'),
    ("keys may come from a seed", "crypto/keys.cpp", "crypto_sign_seed_keypair(pk, sk, seed);"),
    ("tests may include anything", "tests/unit/x.cpp", '#include "dht/node.h"\n#include <sodium.h>'),
)


def refuses(file, line):
    """Whether tools/layers refuses a tree whose only source is `file` with `line` in it, at that very line."""
    with tempfile.TemporaryDirectory() as scratch:
        planted = pathlib.Path(scratch) / file
        planted.parent.mkdir(parents=True)
        planted.write_text(f"// SPDX-License-Identifier: MIT\n{line}\n", encoding="utf-8")
        run = subprocess.run([ROOT / "tools/layers", scratch], capture_output=True, text=True, check=False)
    return run.returncode == 1 and run.stdout.startswith(f"{file}:2: ")


def main():
    outcomes = [(name, refuses(file, line)) for name, file, line in REFUSED]
    outcomes += [(name, not refuses(file, line)) for name, file, line in ALLOWED]
    run = subprocess.run([ROOT / "tools/layers"], capture_output=True, text=True, check=False)
    outcomes.append(("our own tree keeps to the layers", run.returncode == 0))
    if run.stdout:
        print(run.stdout, end="")
    for name, passed in outcomes:
        print(f"{'ok' if passed else 'not ok'} layers: {name}")
    return 0 if all(passed for _, passed in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
