"""`python -m tests.benchmarks.api [--json FILE]`: requests a second of the API against a bare FastAPI app.

Both make the same Redis calls on the same server, both run on uvicorn with the same options, and one client measures
them in turns, so that whatever else the machine does falls on both. A ratio is the median over pairs of turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from compose.processes import Processes, Program
from compose.servers import HOST, free_port
from shared.settings import Settings
from tests.support.api_server import (
    ApiServer,
    api_server,
    environment_of,
    png_bytes,
)
from tests.support.servers import (
    ACCESS_KEY,
    SECRET_KEY,
    redis_server,
    s3_server,
)

_CONNECTIONS = 16
_TURN_S = 1.0
_TURNS = 15
_LEAST = {"submit_ratio": 0.60, "status_ratio": 0.80}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one turn sends: the same bytes again and again, or several in turns."""

    name: str
    requests: tuple[bytes, ...]


async def rate(url: str, load: Load, turn_s: float, connections: int = _CONNECTIONS) -> float:
    """Answers a second over a few connections that each keep one request under way. Raises on anything but 2xx."""
    address = urlsplit(url)
    end = time.perf_counter() + turn_s
    started = time.perf_counter()
    counts = await asyncio.gather(
        *(_ask(address.hostname or HOST, address.port or 80, load, end) for _ in range(connections))
    )
    return sum(counts) / (time.perf_counter() - started)


async def _ask(host: str, port: int, load: Load, end: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    count = 0
    for request in cycle(load.requests):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            message = f"{load.name} was answered with {head.splitlines()[0]!r}"
            raise RuntimeError(message)
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
        count += 1
        if time.perf_counter() >= end:
            break
    writer.close()
    return count


def compare(
    ours: str, bare: str, load: Load, *, turns: int, turn_s: float, connections: int = _CONNECTIONS
) -> dict[str, float]:
    """Median rates of both over alternating turns (the first is not counted), and the median ratio of a pair."""
    pairs: list[tuple[float, float]] = []
    for turn in range(turns + 1):
        order = (ours, bare) if turn % 2 else (bare, ours)
        rates = {url: asyncio.run(rate(url, load, turn_s, connections)) for url in order}
        if turn:
            pairs.append((rates[ours], rates[bare]))
    return {
        f"{load.name}_per_s": statistics.median(mine for mine, _ in pairs),
        f"{load.name}_bare_per_s": statistics.median(peer for _, peer in pairs),
        f"{load.name}_ratio": statistics.median(mine / peer for mine, peer in pairs),
    }


def loads(server: ApiServer) -> tuple[Load, ...]:
    """Submit; status of a job that is over (one Redis call); status of a queued one (two: its place as well)."""
    with server.client() as client:
        photo = client.post("/v1/photos", files={"photo": ("photo.png", png_bytes(), "image/png")}).json()["id"]
        people = [{"phrase": phrase, "photos": [photo]} for phrase in ("the man", "the woman")]
        spec = {"prompt": "a man and a woman on the beach", "concepts": people, "sampling": {"seed": 7}}
        done, queued = (client.post("/v1/jobs", json=spec).json()["id"] for _ in range(2))
    server.run_stages(done)
    return (
        Load(name="submit", requests=(_request("POST", "/v1/jobs", json.dumps(spec).encode()),)),
        Load(name="status", requests=(get_request(f"/v1/jobs/{done}"),)),
        Load(name="queued_status", requests=(get_request(f"/v1/jobs/{queued}"),)),
    )


def get_request(path: str) -> bytes:
    """A GET, as it goes over the wire."""
    return _request("GET", path)


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


@contextmanager
def both(folder: Path) -> Iterator[tuple[ApiServer, str]]:
    """The API and the bare app, as processes on the same Redis."""
    with redis_server(folder) as redis, s3_server(folder / "s3") as s3:
        settings = Settings(
            redis_url=redis.url,
            s3_endpoint_url=s3,
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
        )
        with api_server(settings, folder / "api") as server, Processes(folder / "bare") as processes:
            port = free_port()
            command = [sys.executable, "-m", "tests.benchmarks.bare_api", str(port)]
            processes.start(Program(name="bare", command=command, environment=environment_of(settings)))
            url = f"http://{HOST}:{port}"
            processes.wait_until("bare", lambda: _alive(url), timeout_s=30)
            yield server, url


def _alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=1.0).is_success
    except httpx.TransportError:
        return False


def main() -> int:
    """Measures, prints a table, writes flat JSON if asked to. 1 when a ratio is below what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--turns", type=int, default=_TURNS)
    parser.add_argument("--turn-s", type=float, default=_TURN_S)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, both(Path(folder)) as (server, bare):
        for load in loads(server):
            figures |= compare(server.url, bare, load, turns=options.turns, turn_s=options.turn_s)
    print(f"{'':16}{'Troupe /s':>12}{'bare /s':>12}{'ratio':>9}{'at least':>10}")
    for name in ("submit", "status", "queued_status"):
        least = _LEAST.get(f"{name}_ratio")
        ours, peer, ratio = (figures[f"{name}_{what}"] for what in ("per_s", "bare_per_s", "ratio"))
        print(f"{name:16}{ours:12.0f}{peer:12.0f}{ratio:9.2f}{f'{least:.2f}' if least else '':>10}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(any(figures[name] < least for name, least in _LEAST.items()))


if __name__ == "__main__":
    sys.exit(main())
