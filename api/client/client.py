"""The client for code that blocks."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import httpx

from api.client.calls import Answer, Call, Effort, Pause, Steps
from api.client.connection import TRIES, URL, direct_hosts, http_options, request_options
from api.client.operations import Operations
from api.client.photos import Photos
from api.client.saving import WholeFile
from api.client.watching import State, Watching

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(operation: Callable[Concatenate[Operations, P], Steps[T]]) -> Callable[Concatenate[Client, P], T]:
    """The operation as a method that returns its result."""

    @functools.wraps(operation)
    def run(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.run(operation(client.operations, *args, **kwargs))

    return run


def _stream(
    operation: Callable[Concatenate[Operations, P], Watching[State]],
) -> Callable[Concatenate[Client, P], Generator[State, None, None]]:
    """The operation as a method that returns a generator of states."""

    @functools.wraps(operation)
    def watch(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> Generator[State, None, None]:
        return client.watch(operation(client.operations, *args, **kwargs))

    return watch


class Client:
    """A Troupe server at a URL. key: the tenant's API key. tries: requests before an error that may pass is raised.

    Every method raises the exceptions of `errors`. Threads may share a client.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        key: str | None = None,
        tries: int = TRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        # Two, so that the key cannot reach an address elsewhere.
        named, anonymous = http_options(url, key), http_options(url, None)
        self._http = httpx.Client(transport=transport, mounts=direct_hosts(url), **named)
        self._anonymous = httpx.Client(transport=transport, mounts=direct_hosts(url), **anonymous)
        self.operations = Operations(effort=Effort(where=url, tries=tries), photos=Photos())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()
        self._anonymous.close()

    submit = _blocking(Operations.submit)
    dry_run = _blocking(Operations.dry_run)
    jobs = _blocking(Operations.jobs)
    get = _blocking(Operations.get)
    wait = _blocking(Operations.wait)
    events = _stream(Operations.events)
    cancel = _blocking(Operations.cancel)
    retry = _blocking(Operations.retry)
    delete = _blocking(Operations.delete)
    picture = _blocking(Operations.picture)

    upload = _blocking(Operations.upload)
    photo = _blocking(Operations.photo)
    photo_record = _blocking(Operations.photo_record)
    delete_photo = _blocking(Operations.delete_photo)

    make_batch = _blocking(Operations.make_batch)
    dry_run_batch = _blocking(Operations.dry_run_batch)
    batches = _blocking(Operations.batches)
    batch = _blocking(Operations.batch)
    batch_change = _blocking(Operations.batch_change)
    wait_batch = _blocking(Operations.wait_batch)
    batch_events = _stream(Operations.batch_events)
    cancel_batch = _blocking(Operations.cancel_batch)
    retry_batch = _blocking(Operations.retry_batch)
    delete_batch = _blocking(Operations.delete_batch)
    batch_items = _blocking(Operations.batch_items)
    batch_pictures = _blocking(Operations.batch_pictures)
    batch_outcomes = _blocking(Operations.batch_outcomes)
    batch_file = _blocking(Operations.batch_file)
    save_batch_file = _blocking(Operations.save_batch_file)
    download = _blocking(Operations.download)

    create_webhook = _blocking(Operations.create_webhook)
    webhooks = _blocking(Operations.webhooks)
    webhook = _blocking(Operations.webhook)
    delete_webhook = _blocking(Operations.delete_webhook)
    rotate_webhook = _blocking(Operations.rotate_webhook)
    enable_webhook = _blocking(Operations.enable_webhook)
    test_webhook = _blocking(Operations.test_webhook)
    deliveries = _blocking(Operations.deliveries)
    replay_delivery = _blocking(Operations.replay_delivery)

    ping = _blocking(Operations.ping)
    ready = _blocking(Operations.ready)
    metrics = _blocking(Operations.metrics)
    queue = _blocking(Operations.queue)
    workers = _blocking(Operations.workers)
    audit = _blocking(Operations.audit)
    delete_tenant = _blocking(Operations.delete_tenant)

    def run(self, steps: Steps[T]) -> T:
        """Makes the calls and pauses of an operation."""
        got: Answer | None = None
        try:
            while True:
                step = steps.send(got)
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    got = None
                else:
                    got = self._answer(step)
        except StopIteration as end:
            result: T = end.value
            return result

    def watch(self, watching: Watching[State]) -> Generator[State, None, None]:
        """The states of a stream, over as many connections as it takes."""
        while not watching.over:
            got: Answer | None = None
            try:
                call = watching.call()
                with self._http.stream(call.method, call.path, **request_options(call)) as answer:
                    if answer.status_code == httpx.codes.OK:
                        for line in answer.iter_lines():
                            state = watching.feed(line)
                            if state is not None:
                                yield state
                    else:
                        answer.read()
                        got = answer
            except httpx.TransportError as error:
                got = error
            if not watching.over:
                time.sleep(watching.ended(got))

    def _answer(self, call: Call) -> Answer:
        http = self._anonymous if call.anonymous else self._http
        try:
            if call.save_to is None:
                return http.request(call.method, call.path, **request_options(call))
            with http.stream(call.method, call.path, **request_options(call)) as answer:
                if answer.is_error:
                    answer.read()
                else:
                    with WholeFile(call.save_to) as file:
                        for piece in answer.iter_bytes():
                            file.write(piece)
                return answer
        except httpx.TransportError as error:
            return error
