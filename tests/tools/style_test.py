#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants bad style in a scratch tree and expects tools/style to refuse each of them."""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPDX = "// SPDX-License-Identifier: MIT\n"
UNDONE = "TO" "DO"

# Name of the case, file planted, its text.
REFUSED = (
    ("a source without its licence line", "dht/node.cpp", "int x;\n"),
    ("a header without pragma once", "dht/node.h", SPDX + "int x();\n"),
    ("work left in a comment", "dht/node.cpp", SPDX + f"// {UNDONE}: later\n"),
    ("a line of 121 columns", "dht/node.cpp", SPDX + "//" + "x" * 119 + "\n"),
    ("a file of 501 lines", "dht/node.cpp", SPDX + "int x();\n" * 500),
    ("a getter", "dht/node.cpp", SPDX + "int y = get_x();\n"),
    ("white space at a line's end", "dht/node.cpp", SPDX + "int x; \n"),
    ("a script without its licence line", "tools/thing", "#!/bin/sh\necho\n"),
)

ALLOWED = (
    ("a header with both lines", "dht/node.h", SPDX + "#pragma once\nint x();\n"),
    ("a file of 500 lines", "dht/node.cpp", SPDX + "int x();\n" * 499),
)


def refuses(files):
    with tempfile.TemporaryDirectory() as scratch:
        for path, text in files.items():
            planted = pathlib.Path(scratch) / path
            planted.parent.mkdir(parents=True, exist_ok=True)
            planted.write_text(text, encoding="utf-8")
        run = subprocess.run([ROOT / "tools/style", scratch], capture_output=True, text=True, check=False)
    return run.returncode == 1 and run.stdout.count("\n") == 1


def main():
    header = SPDX + "#pragma once\n"
    own_first = SPDX + '#include "dht/node.h"\n\n#include <vector>\n'
    own_last = SPDX + '#include <vector>\n\n#include "dht/node.h"\n'
    outcomes = [(f"refused: {name}", refuses({file: text})) for name, file, text in REFUSED]
    outcomes += [(f"allowed: {name}", not refuses({file: text})) for name, file, text in ALLOWED]
    outcomes.append(("refused: the own header not first", refuses({"dht/node.h": header, "dht/node.cpp": own_last})))
    outcomes.append(("allowed: the own header first", not refuses({"dht/node.h": header, "dht/node.cpp": own_first})))
    for name, passed in outcomes:
        print(f"{'ok' if passed else 'not ok'} style: {name}")
    return 0 if all(passed for _, passed in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
