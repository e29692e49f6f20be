"""The Lua scripts: every change of a record is one of them, so it happens as a whole or not at all.

The first lines of a script name the libraries that it calls, `--- @include lib/leases`, and its arguments in order,
`--- @args id attempt:number step? parts...`: text, `:number`, `?` for one that may be missing (then nil in Lua), `...`
for a list of all that follow. Libraries include others in the same way. All arguments are read before the first write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import redis
import redis.asyncio

from shared.store.connection import RedisValue

_INCLUDE = re.compile(r"^--- @include (\S+)$", re.MULTILINE)
_ARGS = re.compile(r"^--- @args\b(.*)$", re.MULTILINE)
_ARG = re.compile(r"(\w+)(:number)?(\?|\.\.\.)?")

Argument = RedisValue | bool | None
"""A value for a script: true is 1; false and None are missing."""


class _Parameter(NamedTuple):
    name: str
    is_number: bool
    is_optional: bool
    is_list: bool


class Script:
    """A script behind a client, called with its arguments by name; awaited when the client is asynchronous."""

    def __init__(self, client: redis.Redis | redis.asyncio.Redis, prefix: str, name: str) -> None:
        self._prefix = prefix
        self._name = name
        self._parameters = _parameters(name)
        self._script = client.register_script(source(name))

    def __call__(self, *, client: Any = None, **values: Argument | Sequence[RedisValue]) -> Any:
        """The script's answer. client: a pipeline to put the call into. Raises TypeError for other arguments."""
        args: list[RedisValue] = [self._prefix]
        for parameter in self._parameters:
            if parameter.is_optional:
                value = values.pop(parameter.name, None)
            elif parameter.name in values:
                value = values.pop(parameter.name)
            else:
                message = f"script {self._name} needs {parameter.name}"
                raise TypeError(message)
            args += value if parameter.is_list else [_encoded(value)]  # type: ignore[arg-type]
        if values:
            message = f"script {self._name} takes no {', '.join(values)}"
            raise TypeError(message)
        return self._script(args=args, client=client)


def load(client: redis.Redis | redis.asyncio.Redis, prefix: str, names: Sequence[str]) -> dict[str, Script]:
    """Scripts by name. Nothing is sent before the first call of each."""
    return {name: Script(client, prefix, name) for name in names}


@cache
def source(name: str) -> str:
    """Source of one script as Redis gets it: each library once and before its callers, without comments.

    Line numbers in errors of Redis are those of this text; its first line names the script.
    """
    parts: dict[str, str] = {}
    _collect(name, parts)
    lines = [line.strip() for text in parts.values() for line in text.splitlines()]
    code = [line for line in lines if line and not line.startswith("--")]
    return "\n".join([f"-- {name}", "local p = ARGV[1]", *code, ""])


def _collect(name: str, parts: dict[str, str]) -> None:
    text = _text(name)
    for included in _INCLUDE.findall(text):
        if included not in parts:
            _collect(included, parts)
    parts[name] = _ARGS.sub(lambda _: _reading(_parameters(name)), text)


def _reading(parameters: Sequence[_Parameter]) -> str:
    """Lua that reads the arguments; the prefix is the first."""
    lines = []
    for place, (name, is_number, is_optional, is_list) in enumerate(parameters, 2):
        value = f"assert(tonumber(ARGV[{place}]), '{name} is no number')" if is_number else f"ARGV[{place}]"
        if is_list:
            lines.append(f"local {name} = {{}} for i = {place}, #ARGV do {name}[i - {place - 1}] = ARGV[i] end")
        elif is_optional:
            lines.append(f"local {name} = ARGV[{place}] ~= '' and {value} or nil")
        else:
            lines.append(f"local {name} = {value}")
    return "\n".join(lines)


@cache
def _parameters(name: str) -> tuple[_Parameter, ...]:
    declared = _ARGS.search(_text(name))
    words = [] if declared is None else _ARG.findall(declared[1])
    return tuple(_Parameter(word, bool(number), end == "?", end == "...") for word, number, end in words)


def _text(name: str) -> str:
    return (files("shared.store") / "lua" / f"{name}.lua").read_text()


def _encoded(value: Argument) -> RedisValue:
    return "" if value is None or value is False else 1 if value is True else value
