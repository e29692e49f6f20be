"""What every group of operations has: a way to send a call and read the answer as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import httpx
from pydantic import BaseModel

from api.client.calls import Call, Effort, Steps
from api.client.photos import Photos

Value = TypeVar("Value", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Sending:
    """effort: how often a call is repeated. photos: what this client has read and sent already."""

    effort: Effort
    photos: Photos

    def value(self, kind: type[Value], call: Call) -> Steps[Value]:
        """The answer as this kind of value."""
        answer = yield from self.effort.send(call)
        return kind.model_validate_json(answer.content)

    def get_value(self, kind: type[Value], path: str, **params: str | int | None) -> Steps[Value]:
        """What lies at this address."""
        return (yield from self.value(kind, Call(method="GET", path=path, params=given(params))))

    def erase(self, path: str, timeout_s: float, **params: str) -> Steps[bool]:
        """Whether the resource is gone. False: it goes by itself once nothing of it runs."""
        answer = yield from self.effort.send(Call(method="DELETE", path=path, params=params, timeout_s=timeout_s))
        return answer.status_code == httpx.codes.NO_CONTENT


def given(params: Mapping[str, str | int | None]) -> dict[str, str]:
    """The query parameters that have a value."""
    return {name: str(value) for name, value in params.items() if value is not None}
