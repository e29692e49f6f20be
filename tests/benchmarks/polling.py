"""`python -m tests.benchmarks.polling [--json FILE]`: 64 clients that poll their jobs, against a bare FastAPI app.

Every client asks for a job of its own that a worker holds, again as soon as it is answered; the rest is as in
tests/benchmarks/api.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.api import Load, both, compare, get_request
from tests.benchmarks.streams import running_jobs

_CLIENTS = 64
_TURN_S = 1.0
_TURNS = 15
_LEAST = {"polling_ratio": 0.80}


def main() -> int:
    """Measures, prints a table, writes flat JSON if asked to. 1 when the ratio is below what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--turns", type=int, default=_TURNS)
    parser.add_argument("--turn-s", type=float, default=_TURN_S)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, both(Path(folder)) as (server, bare):
        jobs = running_jobs(server.settings, _CLIENTS)
        load = Load(name="polling", requests=tuple(get_request(f"/v1/jobs/{job_id}") for job_id in jobs))
        figures = compare(server.url, bare, load, turns=options.turns, turn_s=options.turn_s, connections=_CLIENTS)
    print(f"{_CLIENTS} clients{'Troupe /s':>12}{'bare /s':>12}{'ratio':>9}{'at least':>10}")
    ours, peer, ratio = (figures[f"polling_{what}"] for what in ("per_s", "bare_per_s", "ratio"))
    print(f"{'polling':10}{ours:12.0f}{peer:12.0f}{ratio:9.2f}{_LEAST['polling_ratio']:10.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(any(figures[name] < least for name, least in _LEAST.items()))


if __name__ == "__main__":
    sys.exit(main())
