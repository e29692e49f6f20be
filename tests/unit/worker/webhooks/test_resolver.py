"""Look-ups beside the event loops: shared by a host, bounded in all, and left alone by those who do not wait."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from worker.webhooks.resolver import LookUp, Resolver, system_addresses

PATIENCE_S = 10.0


@contextmanager
def slow() -> Iterator[tuple[LookUp, SimpleQueue[str], Callable[[], None]]]:
    """A look-up that answers when it is let, the hosts it was asked for, and what lets it."""
    asked: SimpleQueue[str] = SimpleQueue()
    gate = threading.Event()

    def look_up(host: str, _port: int) -> list[str]:
        asked.put(host)
        assert gate.wait(PATIENCE_S)
        return [host]

    try:
        yield look_up, asked, gate.set
    finally:
        gate.set()


async def begun(asked: SimpleQueue[str], count: int) -> list[str]:
    """The hosts of the next so many look-ups."""
    return [await asyncio.to_thread(asked.get, timeout=PATIENCE_S) for _ in range(count)]


def test_all_who_ask_for_a_host_share_one_look_up() -> None:
    async def scene() -> None:
        with slow() as (look_up, asked, let):
            resolve = Resolver(8, look_up)
            asking = [asyncio.ensure_future(resolve("one", 443)) for _ in range(20)]
            assert await begun(asked, 1) == ["one"]
            asking[0].cancel()
            let()
            assert await asyncio.gather(*asking[1:]) == [["one"]] * 19
            assert asked.empty()

    asyncio.run(scene())


def test_only_so_many_look_ups_run_and_what_nobody_waits_for_is_not_begun() -> None:
    async def scene() -> None:
        with slow() as (look_up, asked, let):
            resolve = Resolver(2, look_up)
            asking = {host: asyncio.ensure_future(resolve(host, 80)) for host in ("a", "b", "c", "d")}
            assert sorted(await begun(asked, 2)) == ["a", "b"]
            gone = asking.pop("c")
            gone.cancel()
            await asyncio.wait([gone])
            let()
            assert await asyncio.gather(*asking.values()) == [["a"], ["b"], ["d"]]
            assert await begun(asked, 1) == ["d"]
            assert await resolve("c", 80) == ["c"]

    asyncio.run(scene())


def test_the_error_says_why_there_is_no_address() -> None:
    def look_up(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(socket.gaierror):
        asyncio.run(Resolver(1, look_up)("nowhere", 80))


def test_the_systems_addresses_come_each_once() -> None:
    assert system_addresses("127.0.0.1", 80) == ["127.0.0.1"]
