"""What a broken connection to Redis may raise is an outage for everybody, and nobody who waits is forgotten."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx
import pytest
import redis.asyncio
import uvloop

from shared.errors import RecordsUnavailable
from shared.settings import Settings
from shared.store.connection import ANSWER_S, connect, connect_async, redis_errors
from shared.store.jobs.live import LiveJobs
from shared.store.jobs.store import AsyncJobStore
from tests.support.api_server import api_server
from tests.support.queue_records import Records
from tests.support.replication import port_of
from tests.support.servers import RedisServer
from tests.support.switch import Switch, tcp_switch

_PATIENCE_S = 20.0
_BURST = 50


@pytest.fixture
def switch(redis_process: RedisServer) -> Iterator[Switch]:
    with tcp_switch(port_of(redis_process)) as made:
        yield made


@pytest.fixture
def switched(settings: Settings, switch: Switch) -> Settings:
    return settings.model_copy(update={"redis_url": switch.url})


def run_on_uvloop(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def test_under_uvloop_a_reset_connection_is_an_outage(switched: Settings, switch: Switch) -> None:
    async def reset_below_a_burst() -> None:
        async with connect_async(switched) as client:

            async def ask() -> None:
                with redis_errors():
                    await client.ping()

            for _ in range(2):
                await asyncio.gather(*(ask() for _ in range(_BURST)))
                burst = [asyncio.create_task(ask()) for _ in range(_BURST)]
                await asyncio.sleep(0)
                await asyncio.to_thread(switch.reset)
                answers = await asyncio.gather(*burst, return_exceptions=True)
                assert {type(answer) for answer in answers} <= {type(None), RecordsUnavailable}
            await ask()

    run_on_uvloop(reset_below_a_burst())


def test_a_socket_that_uvloop_has_closed_is_connected_again(switched: Settings) -> None:
    async def close_below() -> None:
        async with connect_async(switched) as client:
            await client.ping()
            (connection,) = client.connection_pool._available_connections
            # As after a reset that the loop has seen and the client has not.
            writer: Any = connection._writer
            writer.transport.abort()
            with redis_errors():
                await client.ping()

    run_on_uvloop(close_below())


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unable to perform operation on <TCPTransport closed=True 0x1>; the handler is closed"),
        redis.exceptions.NoScriptError("No matching script. Please use EVAL."),
        redis.exceptions.MasterDownError("Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
        redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
        redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
        redis.exceptions.ResponseError("UNBLOCKED force unblock from blocking operation"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_broken_server_is_an_outage(error: Exception) -> None:
    with pytest.raises(RecordsUnavailable), redis_errors():
        raise error


def test_another_runtime_error_stays_one() -> None:
    with pytest.raises(RuntimeError, match="no event loop"), redis_errors():
        raise RuntimeError("no event loop")


def test_a_read_that_broke_forgets_no_watched_job(settings: Settings) -> None:
    class Breaks(AsyncJobStore):
        """A store whose first read of states breaks as only a bug can."""

        broken = False

        async def states(self, job_ids: list[str]) -> Any:  # type: ignore[override]
            if not self.broken:
                self.broken = True
                raise LookupError
            return await super().states(job_ids)

    records = Records(settings=settings)
    job_id = records.submit()

    async def watch() -> None:
        async with connect_async(settings) as client:
            live = LiveJobs(Breaks(client, settings))
            live.start()
            with live.watch(job_id) as watching:
                snapshot = await asyncio.wait_for(watching.next(), _PATIENCE_S)
                assert snapshot is not None
                assert snapshot.job is not None
            await live.stop()

    asyncio.run(watch())
    records.close()


def test_changes_are_read_on_after_a_reset(switched: Settings, settings: Settings, switch: Switch) -> None:
    records = Records(settings=settings)

    async def listen() -> None:
        async with connect_async(switched) as client:
            jobs = AsyncJobStore(client, switched)
            await jobs.start()
            for _ in range(3):
                job_id = records.settings.key_prefix
                with jobs.events.changes(job_id) as changed:
                    await asyncio.to_thread(switch.reset)
                    with connect(settings) as other:
                        other.xadd(jobs.events._stream, {"j": job_id})
                    await asyncio.wait_for(changed.wait(), _PATIENCE_S)
            await jobs.stop()

    run_on_uvloop(listen())
    records.close()


def test_a_request_on_a_silent_redis_is_refused_within_the_deadline(
    switched: Settings, switch: Switch, tmp_path: Any
) -> None:
    with api_server(switched, tmp_path) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get(f"/v1/jobs/{'0' * 32}").status_code == 404
        switch.silent = True
        began = time.monotonic()
        assert client.get(f"/v1/jobs/{'0' * 32}").status_code == 503
        assert time.monotonic() - began < ANSWER_S + 3
        switch.silent = False
        until(lambda: client.get(f"/v1/jobs/{'0' * 32}").status_code == 404)


def until(true: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + _PATIENCE_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        pause.wait(0.05)
