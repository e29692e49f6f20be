"""Server-sent events: lines in, states out, and where to continue after a lost connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel

from api.client.calls import Answer, Call, Effort

State = TypeVar("State", bound=BaseModel)

# Three keep-alives of the server.
_SILENCE_S = 45.0


class Watching(Generic[State]):
    """One stream of states over as many connections as it takes. over: no state follows."""

    def __init__(self, path: str, kind: type[State], params: Mapping[str, str], effort: Effort) -> None:
        self.over = False
        self._path = path
        self._kind = kind
        self._params = params
        self._effort = effort
        self._last = ""
        self._data: list[str] = []
        self._id: str | None = None
        self._failures = 0

    def call(self) -> Call:
        """The request that continues the stream after the last state that arrived."""
        headers = {"Accept": "text/event-stream"}
        if self._last:
            headers["Last-Event-ID"] = self._last
        return Call(method="GET", path=self._path, params=self._params, headers=headers, timeout_s=_SILENCE_S)

    def feed(self, line: str) -> State | None:
        """The state that this line completes, or None (HTML, section 9.2.6). line: without its line end."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "id":
                self._id = value
            return None
        data, self._data = "\n".join(self._data), []
        if self._id is not None:
            self._last, self._id = self._id, None
        if not data:
            return None
        self._failures = 0
        state = self._kind.model_validate_json(data)
        self.over = bool(getattr(state, "done", False))
        return state

    def ended(self, got: Answer | None) -> float:
        """Seconds to wait before the next call. got: the error; None if the stream ended before its last state.

        Raises the error if another call cannot help.
        """
        self._data, self._id = [], None
        if isinstance(got, httpx.Response) and got.status_code == httpx.codes.NO_CONTENT:
            self.over = True
            return 0.0
        self._failures += 1
        reason = got or httpx.RemoteProtocolError("the stream ended before its last event")
        return self._effort.pause_after(reason, self._failures).seconds
