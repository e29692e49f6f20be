"""`troupe keys create | list | disable | rotate | tenant`: API keys and tenant limits, for the operator.

These commands write to Redis, so they run next to the server and are not part of the published client. A change takes
effect on every API process within a second.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import redis
import typer
from limits import parse
from pydantic import BaseModel, ValidationError

from api.auth.key_table import KeyTable, NoSuchKey
from api.auth.keys import Key
from api.cli import show
from api.cli.connection import FAILED, AsJson, fail
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.tenants.limits import Tenants
from shared.tenant import TenantLimits, check_tenant

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_NONE = "none"
_KeyId = Annotated[
    str, typer.Argument(metavar="KEY", help="Id of the key, as `keys list` shows it.", show_default=False)
]
_Tenant = Annotated[
    str,
    typer.Argument(
        metavar="TENANT", help="Tenant: up to 32 lower-case letters, digits and dashes.", show_default=False
    ),
]
_Limit = Annotated[str | None, typer.Option(show_default=False)]


class KeyRow(BaseModel):
    """A key without its secret. state: active, rotating (two secrets are accepted) or disabled."""

    id: str
    tenant: str
    created_at: datetime
    state: str
    old_secret_until: datetime | None = None


class NewKey(BaseModel):
    """A key with its secret, which is shown once."""

    key: str


def add(app: typer.Typer, read_settings: Callable[[], Settings]) -> None:
    """Adds the commands. read_settings: which Redis holds the keys; called when a command runs."""
    keys = typer.Typer(no_args_is_help=True, help="Manage API keys and tenant limits (next to the server).")

    @contextmanager
    def open_redis() -> Iterator[tuple[redis.Redis, Settings]]:
        settings = read_settings()
        with connect(settings) as client:
            try:
                yield client, settings
            except ValidationError as error:
                fail("; ".join(f"--{_option(one['loc'][0])}: {one['msg']}" for one in error.errors()), FAILED)
            except (NoSuchKey, ValueError) as error:
                fail(str(error), FAILED)

    @keys.command()
    def create(tenant: _Tenant, as_json: AsJson = False) -> None:
        """Create an API key for a tenant. The key is shown once."""
        with open_redis() as (client, settings):
            _print_new(KeyTable(client, settings).create(tenant), as_json=as_json)

    @keys.command("list")
    def list_(as_json: AsJson = False) -> None:
        """List all keys, without their secrets."""
        with open_redis() as (client, settings):
            rows = [_row(key) for key in KeyTable(client, settings).all()]
        show.rows(
            rows,
            {
                "key": lambda row: row.id,
                "tenant": lambda row: row.tenant,
                "created": lambda row: show.moment(row.created_at),
                "state": _state_words,
            },
            as_json=as_json,
        )

    @keys.command()
    def disable(key: _KeyId, as_json: AsJson = False) -> None:
        """Disable a key. Requests that use it are answered with 401."""
        with open_redis() as (client, settings):
            table = KeyTable(client, settings)
            table.disable(key)
            row = next(_row(one) for one in table.all() if one.id == key)
        show.value(row, f"key {row.id} of {row.tenant} is disabled", as_json=as_json)

    @keys.command()
    def rotate(
        key: _KeyId,
        grace: Annotated[
            str, typer.Option(help="How long the old secret is still accepted: 90s, 5m, 24h or 7d.")
        ] = "24h",
        as_json: AsJson = False,
    ) -> None:
        """Give a key a new secret. The key is shown once."""
        grace_s = _seconds(grace)
        with open_redis() as (client, settings):
            _print_new(KeyTable(client, settings).rotate(key, grace_s), as_json=as_json)
        show.note(f"The old secret is accepted for {grace_s:g} seconds more.")

    @keys.command()
    def tenant(
        name: _Tenant,
        weight: Annotated[
            float | None, typer.Option(help="Share of the workers while others wait too.", show_default=False)
        ] = None,
        concurrency: Annotated[
            str | None, typer.Option(help="Jobs that run at the same time.", show_default=False)
        ] = None,
        daily_quota: Annotated[
            str | None, typer.Option(help="Units of the jobs submitted in one day (UTC).", show_default=False)
        ] = None,
        rate: Annotated[
            str | None,
            typer.Option(help="Requests that change something: 60/minute, or 5 per 10 seconds.", show_default=False),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show or change the limits of a tenant. The value `none` lifts a limit."""
        given: dict[str, object] = {"weight": weight, "concurrency": concurrency, "daily_units": daily_quota}
        changed = {field: None if value == _NONE else value for field, value in given.items() if value is not None}
        changed |= {} if rate is None else _rate(rate)
        with open_redis() as (client, settings):
            tenants = Tenants(client, settings)
            limits = tenants.limits(check_tenant(name))
            if changed:
                limits = TenantLimits.model_validate({**limits.model_dump(), **changed})
                tenants.limit(name, limits)
        show.value(limits, "\n".join(_limit_lines(limits)), as_json=as_json)

    app.add_typer(keys, name="keys")


def _print_new(token: str, *, as_json: bool) -> None:
    show.note("Keep this key: it is shown only now.")
    show.value(NewKey(key=token), token, as_json=as_json)


def _row(key: Key) -> KeyRow:
    rotating = key.old_until_s > time.time()
    return KeyRow(
        id=key.id,
        tenant=key.tenant,
        created_at=datetime.fromtimestamp(key.made_s, UTC),
        state="disabled" if key.disabled else "rotating" if rotating else "active",
        old_secret_until=datetime.fromtimestamp(key.old_until_s, UTC) if rotating else None,
    )


def _state_words(row: KeyRow) -> str:
    if row.state == "rotating" and row.old_secret_until is not None:
        return f"active, the old secret until {show.moment(row.old_secret_until)}"
    return row.state


def _limit_lines(limits: TenantLimits) -> list[str]:
    rate = None if limits.rate is None else f"{limits.rate}/{limits.rate_window_s}s"
    rows = {"weight": limits.weight, "concurrency": limits.concurrency, "daily-quota": limits.daily_units, "rate": rate}
    return [f"{name:16}{_NONE if value is None else value}" for name, value in rows.items()]


def _option(field: object) -> str:
    return {"daily_units": "daily-quota"}.get(str(field), str(field).replace("_", "-"))


def _rate(text: str) -> dict[str, object]:
    """The rate as fields of a tenant's limits."""
    if text == _NONE:
        return {"rate": None}
    try:
        found = parse(text)
    except ValueError as error:
        message = f"{text!r} is not a rate: write 60/minute, or 5 per 10 seconds"
        raise typer.BadParameter(message, param_hint="--rate") from error
    return {"rate": found.amount, "rate_window_s": found.get_expiry()}


def _seconds(text: str) -> float:
    """`90`, `90s`, `5m`, `24h` or `7d` as seconds."""
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    if match is None:
        message = f"{text!r} is not a time: write 90s, 5m, 24h or 7d"
        raise typer.BadParameter(message, param_hint="--grace")
    return float(match[1]) * _UNITS_S[match[2] or "s"]
