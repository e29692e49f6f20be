"""`./run bench [NAME ...] [--json FILE]`: the benchmarks of these names, or all; the numbers as flat JSON.

`gpu` needs a CUDA device and runs only where it is named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = (
    "api",
    "queue",
    "backlog",
    "batch",
    "fairness",
    "denoise",
    "flops",
    "memory",
    "wall",
    "streams",
    "polling",
    "marks",
)
KNOWN = (*NAMES, "gpu")


def main() -> int:
    """Runs each benchmark in a process of its own, so that none warms or burdens the next."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(KNOWN)}; all but gpu without a name")
    parser.add_argument("--json", type=Path, help="file for the numbers; with several benchmarks in one object")
    asked, rest = parser.parse_known_args()
    unknown = [name for name in asked.names if name not in KNOWN]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(KNOWN)}")
    names = asked.names or list(NAMES)
    if rest and len(names) != 1:
        parser.error(f"{' '.join(rest)} needs the name of one benchmark")
    numbers: dict[str, float] = {}
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            out = Path(folder) / f"{name}.json"
            print(f"== {name}", flush=True)
            words = [sys.executable, "-m", f"tests.benchmarks.{name}", "--json", str(out), *rest]
            failed |= subprocess.run(words, check=False).returncode != 0
            if out.exists():
                numbers |= json.loads(out.read_text())
    if asked.json:
        asked.json.write_text(json.dumps(numbers, indent=2, sort_keys=True) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
