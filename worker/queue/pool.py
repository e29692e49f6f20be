"""Celery's process pool, fixed so that it reads every answer of an executor completely."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from celery.concurrency import asynpool, prefork


class Answers(asynpool.ResultHandler):
    """Reads the answers of executors, also across a lost connection to the broker.

    An answer of more than 16 KiB, such as every one that ends a chain, is written in two pieces, and Celery's loop
    waits for the second. When the broker's connection breaks just then, Celery 5.7 resets its loop and with it loses
    the reader that has the first piece; the next reader takes the second piece for a first one and closes the pipe. The
    executor then counts as busy for ever, so no message is taken any more. Remove this when Celery keeps such readers.
    """

    # Celery's, which its types do not know.
    fileno_to_outq: dict[int, Any]
    on_state_change: Callable[[Any], None]
    _hub: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # By file descriptor: the process whose answer was begun, and the reader that has the first piece.
        self._begun: dict[int, tuple[Any, Iterator[None]]] = {}

    def _recv_message(
        self, add_reader: Callable[..., None], fd: int, callback: Callable[[Any], None], **options: Any
    ) -> Iterator[None]:
        """Reads one message; pauses when there is nothing to read. Continues where a lost reader paused."""
        process = self.fileno_to_outq.get(fd)
        owner, reader = self._begun.pop(fd, (None, None))
        if reader is None or owner is not process:
            # Another process may have the descriptor by now.
            reader = super()._recv_message(add_reader, fd, callback, **options)  # type: ignore[misc] # nor this
        # Not `yield from`: it would close the reader together with this generator, when the loop drops this one.
        for pause in reader:
            self._begun[fd] = process, reader
            yield pause
            self._begun.pop(fd, None)

    def _finish_partial_read(self, fd: int, proc: Any) -> bool:
        """At the end of a worker: whether to drop this pipe. Celery looks for the reader in its loop."""
        if fd in self._begun and self._hub is not None:
            self._hub.add_reader(fd, self._recv_message(self._hub.add_reader, fd, self.on_state_change))
        return bool(super()._finish_partial_read(fd, proc))  # type: ignore[misc] # nor this


class _Executors(asynpool.AsynPool):
    ResultHandler = Answers


class Pool(prefork.TaskPool):
    """The pool of a stage worker: Celery's `prefork`, except for how answers are read."""

    Pool = _Executors
