"""Celery's pool of children, made to read every answer of a child to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from celery.concurrency import asynpool, prefork


class Answers(asynpool.ResultHandler):
    """Reads what children answer, across a lost connection to the broker too.

    An answer of more than 16 KiB, such as every one that ends a chain, is written in two pieces, and Celery's loop
    waits for the second. When the broker's connection breaks just then, Celery 5.7 resets its loop and with it forgets
    the reader that has the first piece; the next reader takes the middle for a beginning and gives the pipe up. The
    child then counts as busy for ever, so no message is taken any more. May go when Celery keeps such readers itself.
    """

    # Celery's, which its types do not know.
    fileno_to_outq: dict[int, Any]
    on_state_change: Callable[[Any], None]
    _hub: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # By file descriptor: whose answer was begun, and the reader that has its beginning.
        self._begun: dict[int, tuple[Any, Iterator[None]]] = {}

    def _recv_message(
        self, add_reader: Callable[..., None], fd: int, callback: Callable[[Any], None], **options: Any
    ) -> Iterator[None]:
        """Reads one message; pauses whenever there is nothing to read. Goes on where a forgotten reader paused."""
        child = self.fileno_to_outq.get(fd)
        owner, reader = self._begun.pop(fd, (None, None))
        if reader is None or owner is not child:
            # A descriptor may have gone over to another child.
            reader = super()._recv_message(add_reader, fd, callback, **options)  # type: ignore[misc] # nor this
        # Not `yield from`: it would close the reader with us, when the loop forgets us.
        for pause in reader:
            self._begun[fd] = child, reader
            yield pause
            self._begun.pop(fd, None)

    def _finish_partial_read(self, fd: int, proc: Any) -> bool:
        """At the end of a worker: whether this pipe must be dropped. Celery looks for the reader in its loop."""
        if fd in self._begun and self._hub is not None:
            self._hub.add_reader(fd, self._recv_message(self._hub.add_reader, fd, self.on_state_change))
        return bool(super()._finish_partial_read(fd, proc))  # type: ignore[misc] # nor this


class _Children(asynpool.AsynPool):
    ResultHandler = Answers


class Pool(prefork.TaskPool):
    """The pool of a worker of stages: Celery's `prefork` but for how answers are read."""

    Pool = _Children
