"""The one reader of changes: it stops when it is told to, even where the client loses the word."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.store.jobs.events import EventReader, end, go_on


class LosesTheFirstCancel:
    """A client whose blocking read ends as if nothing had come when it is cancelled for the first time."""

    def __init__(self) -> None:
        self.reading = asyncio.Event()
        self.lost = 0

    async def xrevrange(self, _stream: str, count: int) -> list[Any]:
        return []

    async def xread(self, _streams: dict[str, str], count: int, block: int) -> list[Any]:
        self.reading.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.lost:
                raise
            self.lost += 1
        return []


def test_a_cancel_that_gets_lost_in_the_client_is_sent_again() -> None:
    async def run() -> int:
        client = LosesTheFirstCancel()
        redis: Any = client
        reader = EventReader(redis, "t")
        await reader.start()
        await client.reading.wait()
        await asyncio.wait_for(reader.stop(), timeout=10)
        return client.lost

    assert asyncio.run(run()) == 1


def test_what_never_ends_goes_on_after_it_broke() -> None:
    async def run() -> list[int]:
        done: list[int] = []
        again = asyncio.Event()

        async def work() -> None:
            done.append(len(done))
            if len(done) == 1:
                message = "something nobody thought of"
                raise ValueError(message)
            again.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(go_on(work))
        await asyncio.wait_for(again.wait(), timeout=10)
        await end(task)
        assert task.cancelled()
        return done

    assert asyncio.run(run()) == [0, 1]
