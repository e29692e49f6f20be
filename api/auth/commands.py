"""`python -m api.auth.commands create | list | disable | rotate | tenant`: who may use the API, and how much of it.

A secret is shown once, when it is made. What is changed here holds within a second on every API process.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import redis
from limits import parse
from pydantic import ValidationError

from api.auth.keys import (
    Key,
    hashed,
    key_of,
    new_key_id,
    new_secret,
    token,
)
from shared.errors import TroupeError
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import RedisValue, connect, redis_errors
from shared.store.tenants.limits import Tenants
from shared.tenant import TenantLimits, check_tenant

_GRACE = "24h"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_NONE = "none"


class KeyTable:
    """The keys behind blocking calls. Every call may raise RecordsUnavailable; `NoSuchKey` where it takes an id."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._redis = client
        self._prefix = settings.key_prefix

    def create(self, tenant: str) -> str:
        """Makes a key of the tenant; gives the token, which nobody can read again."""
        key_id, secret, now_s = new_key_id(), new_secret(), time.time()
        fields: dict[Any, RedisValue] = {"tenant": check_tenant(tenant), "secret": hashed(secret), "at": f"{now_s:.3f}"}
        with redis_errors(), self._redis.pipeline() as pipe:
            pipe.hset(keys.api_key_key(self._prefix, key_id), mapping=fields)
            pipe.zadd(keys.api_keys_key(self._prefix), {key_id: now_s})
            pipe.execute()
        return token(key_id, secret)

    def all(self) -> list[Key]:
        """Every key, the oldest first."""
        with redis_errors():
            ids = self._redis.zrange(keys.api_keys_key(self._prefix), 0, -1)
            return [key for key_id in ids if (key := self._get(str(key_id)))]

    def disable(self, key_id: str) -> Key:
        """The key opens nothing any more."""
        return self._change(key_id, lambda _: {"off": "1"})

    def rotate(self, key_id: str, grace_s: float) -> str:
        """Gives the key a new secret; the one it has is good for the grace time. Gives the token."""
        secret = new_secret()
        self._change(
            key_id,
            lambda key: {
                "secret": hashed(secret),
                "old": key.secret,
                "old_until": f"{time.time() + grace_s:.3f}",
            },
        )
        return token(key_id, secret)

    def _change(self, key_id: str, change: Callable[[Key], dict[Any, RedisValue]]) -> Key:
        name = keys.api_key_key(self._prefix, key_id)
        changed: list[Key] = []

        def write(pipe: redis.client.Pipeline) -> None:
            key = self._get(key_id, pipe)
            if key is None:
                message = f"there is no key {key_id[:40]!r}: `list` shows those there are"
                raise NoSuchKey(message)
            pipe.multi()
            pipe.hset(name, mapping=change(key))
            changed[:] = [key]

        with redis_errors():
            # Two who rotate at once: the second starts over, with the secret of the first as the old one.
            self._redis.transaction(write, name)
        return changed[0]

    def _get(self, key_id: str, client: redis.Redis | None = None) -> Key | None:
        fields: Any = (client or self._redis).hgetall(keys.api_key_key(self._prefix, key_id))
        return key_of(key_id, fields)


class NoSuchKey(Exception):
    """An id that no key has."""


def main(words: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """The command line; returns the exit status."""
    asked = _parser().parse_args(words)
    settings = settings or Settings.read_or_exit()
    with connect(settings) as client:
        table, tenants = KeyTable(client, settings), Tenants(client, settings)
        try:
            match asked.command:
                case "create":
                    print(_shown_once(table.create(asked.tenant)))
                case "rotate":
                    print(_shown_once(table.rotate(asked.key, asked.grace)))
                    print(f"The secret before it stays good for {asked.grace:g} seconds.", file=sys.stderr)
                case "disable":
                    print(f"key {asked.key} of {table.disable(asked.key).tenant} is disabled")
                case "list":
                    print("\n".join(_rows(table.all())))
                case "tenant":
                    print("\n".join(_limits(tenants, asked)))
        except (NoSuchKey, TroupeError, ValueError) as error:
            print(f"failed: {_words(error)}", file=sys.stderr)
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keys", description="Who may use the API, and how much of it.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key; its secret is shown once")
    create.add_argument("tenant", help="whose key it is: up to 32 small letters, digits and dashes")
    commands.add_parser("list", help="every key, without secrets")
    commands.add_parser("disable", help="the key opens nothing any more").add_argument("key", help="id of the key")
    rotate = commands.add_parser("rotate", help="give the key a new secret")
    rotate.add_argument("key", help="id of the key")
    rotate.add_argument("--grace", type=_seconds, default=_GRACE, help=f"how long the old secret stays good ({_GRACE})")
    tenant = commands.add_parser("tenant", help="show or set what a tenant may have; `none` lifts a limit")
    tenant.add_argument("tenant")
    tenant.add_argument("--weight", type=float, help="share of the fleet while others wait too (1)")
    tenant.add_argument("--concurrency", help="jobs at work at once")
    tenant.add_argument("--daily-quota", dest="daily_units", help="units of the jobs submitted in a day (UTC)")
    tenant.add_argument(
        "--rate", type=_rate, help="requests that make or change something: 60/minute, 5 per 10 seconds"
    )
    return parser


def _shown_once(shown: str) -> str:
    print("Keep this key: it is shown only now.", file=sys.stderr)
    return shown


def _rows(found: Sequence[Key]) -> list[str]:
    rows = [f"{'key':18}{'tenant':34}{'made':22}state"]
    for key in found:
        made = datetime.fromtimestamp(key.made_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.append(f"{key.id:18}{key.tenant:34}{made:22}{_state(key)}")
    return rows


def _state(key: Key) -> str:
    if key.disabled:
        return "disabled"
    if key.old_until_s > time.time():
        return f"active, the old secret too until {datetime.fromtimestamp(key.old_until_s, UTC):%Y-%m-%d %H:%M:%S}"
    return "active"


def _limits(tenants: Tenants, asked: argparse.Namespace) -> list[str]:
    """Sets what was given, and shows what holds then."""
    limits = tenants.limits(asked.tenant)
    names = ("weight", "concurrency", "daily_units")
    given = {name: value for name in names if (value := getattr(asked, name)) is not None} | (asked.rate or {})
    if given:
        changed = {name: None if value == _NONE else value for name, value in given.items()}
        limits = TenantLimits.model_validate({**limits.model_dump(), **changed})
        tenants.limit(asked.tenant, limits)
    rate = _NONE if limits.rate is None else f"{limits.rate}/{limits.rate_window_s}s"
    rows = [("weight", limits.weight), ("concurrency", limits.concurrency), ("daily-quota", limits.daily_units)]
    return [f"{name:16}{_NONE if value is None else value}" for name, value in [*rows, ("rate", rate)]]


def _rate(text: str) -> dict[str, object]:
    """A rate as the fields of a tenant's limits."""
    if text == _NONE:
        return {"rate": _NONE}
    try:
        found = parse(text)
    except ValueError as error:
        message = f"{text!r} is no rate: write 60/minute, or 5 per 10 seconds"
        raise argparse.ArgumentTypeError(message) from error
    return {"rate": found.amount, "rate_window_s": found.get_expiry()}


def _seconds(text: str) -> float:
    """`90`, `90s`, `5m`, `24h`, `7d` as seconds."""
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    if match is None:
        message = f"{text!r} is no time: write 90s, 5m, 24h or 7d"
        raise argparse.ArgumentTypeError(message)
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"--{one['loc'][0]}: {one['msg']}".replace("_", "-") for one in error.errors())
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
