"""Names looked up beside the event loops: a look-up that hangs delays a caller no longer than its own timeout.

The system's resolver cannot be stopped. A loop's own threads for it are joined when the loop ends, so that one dead
name server would keep every delivery's place until it gave up.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

LookUp = Callable[[str, int], list[str]]
"""Gives the IP addresses of a host. Raises OSError (socket.gaierror) when it has none, UnicodeError for no name."""

_Answer = Future[list[str]]


class Resolver:
    """One a process, for all its loops. most: look-ups at once; a host has one at a time, which all who ask share.

    So a host that hangs takes one of these places, however many deliveries are for it.
    """

    def __init__(self, most: int, look_up: LookUp | None = None) -> None:
        self._look_up = look_up or system_addresses
        self._free = most
        self._lock = threading.Lock()
        # In the order in which they were asked for; those that run are in it, too.
        self._asked: dict[tuple[str, int], list[_Answer]] = {}
        self._running: set[tuple[str, int]] = set()

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of the host. Raises as the look-up does; a canceled caller does not affect the others."""
        answer: _Answer = Future()
        with self._lock:
            self._asked.setdefault((host, port), []).append(answer)
            self._start()
        try:
            return await asyncio.wrap_future(answer)
        finally:
            self._leave((host, port), answer)

    def _start(self) -> None:
        """Begins what has a place. Called with the lock."""
        for place in [place for place in self._asked if place not in self._running][: self._free]:
            self._free -= 1
            self._running.add(place)
            # A daemon: the process ends without it.
            threading.Thread(target=self._run, args=(place,), name="resolver", daemon=True).start()

    def _run(self, place: tuple[str, int]) -> None:
        error: Exception | None = None
        addresses: list[str] = []
        try:
            addresses = self._look_up(*place)
        except Exception as found:  # noqa: BLE001 - the caller receives it
            error = found
        with self._lock:
            self._free += 1
            self._running.discard(place)
            waiting = self._asked.pop(place, [])
            self._start()
        for answer in waiting:
            # Canceled just now.
            with suppress(InvalidStateError):
                if error is None:
                    answer.set_result(addresses)
                else:
                    answer.set_exception(error)

    def _leave(self, place: tuple[str, int], answer: _Answer) -> None:
        """Nobody waits for this any more; what nobody waits for is not begun."""
        with self._lock:
            waiting = self._asked.get(place, [])
            if answer in waiting:
                waiting.remove(answer)
                if not waiting and place not in self._running:
                    del self._asked[place]


def system_addresses(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver gives, in its order. Raises socket.gaierror or UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
