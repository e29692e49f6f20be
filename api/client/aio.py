"""The client for an event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from api.client.calls import Answer, Call, Effort, Pause, Steps
from api.client.connection import TRIES, URL, direct_hosts, http_options, request_options
from api.client.operations import Operations
from api.client.photos import Photos
from api.client.saving import WholeFile
from api.client.watching import State, Watching

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    operation: Callable[Concatenate[Operations, P], Steps[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """The operation as a coroutine method that returns its result."""

    @functools.wraps(operation)
    async def run(client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.run(operation(client.operations, *args, **kwargs))

    return run


def _stream(
    operation: Callable[Concatenate[Operations, P], Watching[State]],
) -> Callable[Concatenate[AsyncClient, P], AsyncGenerator[State, None]]:
    """The operation as a method that returns an asynchronous generator of states."""

    @functools.wraps(operation)
    def watch(client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[State, None]:
        return client.watch(operation(client.operations, *args, **kwargs))

    return watch


class AsyncClient:
    """A Troupe server at a URL. key: the tenant's API key. tries: requests before an error that may pass is raised.

    Every method raises the exceptions of `errors`. Tasks of one event loop may share a client.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        key: str | None = None,
        tries: int = TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # Two, so that the key cannot reach an address elsewhere.
        named, anonymous = http_options(url, key), http_options(url, None)
        self._http = httpx.AsyncClient(transport=transport, mounts=direct_hosts(url), **named)
        self._anonymous = httpx.AsyncClient(transport=transport, mounts=direct_hosts(url), **anonymous)
        self.operations = Operations(effort=Effort(where=url, tries=tries), photos=Photos())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()
        await self._anonymous.aclose()

    submit = _awaited(Operations.submit)
    dry_run = _awaited(Operations.dry_run)
    jobs = _awaited(Operations.jobs)
    get = _awaited(Operations.get)
    wait = _awaited(Operations.wait)
    events = _stream(Operations.events)
    cancel = _awaited(Operations.cancel)
    retry = _awaited(Operations.retry)
    delete = _awaited(Operations.delete)
    picture = _awaited(Operations.picture)

    upload = _awaited(Operations.upload)
    photo = _awaited(Operations.photo)
    photo_record = _awaited(Operations.photo_record)
    delete_photo = _awaited(Operations.delete_photo)

    make_batch = _awaited(Operations.make_batch)
    dry_run_batch = _awaited(Operations.dry_run_batch)
    batches = _awaited(Operations.batches)
    batch = _awaited(Operations.batch)
    batch_change = _awaited(Operations.batch_change)
    wait_batch = _awaited(Operations.wait_batch)
    batch_events = _stream(Operations.batch_events)
    cancel_batch = _awaited(Operations.cancel_batch)
    retry_batch = _awaited(Operations.retry_batch)
    delete_batch = _awaited(Operations.delete_batch)
    batch_items = _awaited(Operations.batch_items)
    batch_pictures = _awaited(Operations.batch_pictures)
    batch_outcomes = _awaited(Operations.batch_outcomes)
    batch_file = _awaited(Operations.batch_file)
    save_batch_file = _awaited(Operations.save_batch_file)
    download = _awaited(Operations.download)

    create_webhook = _awaited(Operations.create_webhook)
    webhooks = _awaited(Operations.webhooks)
    webhook = _awaited(Operations.webhook)
    delete_webhook = _awaited(Operations.delete_webhook)
    rotate_webhook = _awaited(Operations.rotate_webhook)
    enable_webhook = _awaited(Operations.enable_webhook)
    test_webhook = _awaited(Operations.test_webhook)
    deliveries = _awaited(Operations.deliveries)
    replay_delivery = _awaited(Operations.replay_delivery)

    ping = _awaited(Operations.ping)
    ready = _awaited(Operations.ready)
    metrics = _awaited(Operations.metrics)
    queue = _awaited(Operations.queue)
    workers = _awaited(Operations.workers)
    audit = _awaited(Operations.audit)
    delete_tenant = _awaited(Operations.delete_tenant)

    async def run(self, steps: Steps[T]) -> T:
        """Makes the calls and pauses of an operation."""
        got: Answer | None = None
        try:
            while True:
                step = steps.send(got)
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    got = None
                else:
                    got = await self._answer(step)
        except StopIteration as end:
            result: T = end.value
            return result

    async def watch(self, watching: Watching[State]) -> AsyncGenerator[State, None]:
        """The states of a stream, over as many connections as it takes."""
        while not watching.over:
            got: Answer | None = None
            try:
                call = watching.call()
                async with self._http.stream(call.method, call.path, **request_options(call)) as answer:
                    if answer.status_code == httpx.codes.OK:
                        async for line in answer.aiter_lines():
                            state = watching.feed(line)
                            if state is not None:
                                yield state
                    else:
                        await answer.aread()
                        got = answer
            except httpx.TransportError as error:
                got = error
            if not watching.over:
                await asyncio.sleep(watching.ended(got))

    async def _answer(self, call: Call) -> Answer:
        http = self._anonymous if call.anonymous else self._http
        try:
            if call.save_to is None:
                return await http.request(call.method, call.path, **request_options(call))
            async with http.stream(call.method, call.path, **request_options(call)) as answer:
                if answer.is_error:
                    await answer.aread()
                else:
                    with WholeFile(call.save_to) as file:
                        async for piece in answer.aiter_bytes():
                            file.write(piece)
                return answer
        except httpx.TransportError as error:
            return error
