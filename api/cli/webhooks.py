"""`troupe webhook create | list | get | rotate | enable | test | delete | deliveries | replay`."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli import show
from api.cli.connection import AsJson, Limit, client_of, gather
from api.cli.erasing import print_erased
from api.client import Delivery, NewWebhook, Webhook

_Id = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Id of the webhook.", show_default=False)]
_DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="Id of the delivery.", show_default=False)]
_HOURS_24 = 86_400.0


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    webhook = typer.Typer(no_args_is_help=True, help="Addresses that are notified when jobs and batches end.")
    webhook.command("list")(list_)
    webhook.command("test")(send_test)
    for command in (create, get, rotate, enable, delete, deliveries, replay):
        webhook.command()(command)
    app.add_typer(webhook, name="webhook")


def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Address that receives the messages.", show_default=False)],
    event: Annotated[
        list[str] | None,
        typer.Option(help="An event to receive, such as job.succeeded; repeat it. All if none.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a webhook and print its secret, which is shown only now."""
    with client_of(context) as client:
        _print_secret(client.create_webhook(url, events=event or ()), as_json=as_json)


def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List your webhooks."""
    with client_of(context) as client:
        found = client.webhooks()
    show.rows(
        found,
        {
            "webhook": lambda one: one.id,
            "created": lambda one: show.moment(one.created_at),
            "state": _state,
            "events": lambda one: ",".join(one.events) or "all",
            "url": lambda one: one.url,
        },
        as_json=as_json,
    )


def get(context: typer.Context, webhook: _Id, as_json: AsJson = False) -> None:
    """Show a webhook."""
    with client_of(context) as client:
        _print(client.webhook(webhook), as_json=as_json)


def rotate(
    context: typer.Context,
    webhook: _Id,
    old_valid_s: Annotated[
        float, typer.Option("--old-valid-s", min=0, help="Seconds for which the old secret signs too.")
    ] = _HOURS_24,
    as_json: AsJson = False,
) -> None:
    """Give a webhook a new secret and print it. It is shown only now."""
    with client_of(context) as client:
        _print_secret(client.rotate_webhook(webhook, old_valid_s=old_valid_s), as_json=as_json)


def enable(context: typer.Context, webhook: _Id, as_json: AsJson = False) -> None:
    """Enable a webhook that was disabled because its receiver answered 410."""
    with client_of(context) as client:
        _print(client.enable_webhook(webhook), as_json=as_json)


def send_test(context: typer.Context, webhook: _Id, as_json: AsJson = False) -> None:
    """Send a test message."""
    with client_of(context) as client:
        _print_delivery(client.test_webhook(webhook), as_json=as_json)


def delete(context: typer.Context, webhook: _Id, as_json: AsJson = False) -> None:
    """Delete a webhook, its delivery log and its waiting deliveries."""
    with client_of(context) as client:
        client.delete_webhook(webhook)
    print_erased(webhook, gone=True, as_json=as_json)


def deliveries(context: typer.Context, webhook: _Id, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the deliveries of a webhook, the newest first."""
    with client_of(context) as client:

        def page(cursor: str | None, size: int) -> tuple[tuple[Delivery, ...], str | None]:
            found = client.deliveries(webhook, cursor=cursor, limit=size)
            return found.deliveries, found.next

        log = gather(page, limit)
    show.rows(
        log,
        {
            "delivery": lambda one: one.id,
            "created": lambda one: show.moment(one.created_at),
            "event": lambda one: one.event,
            "status": lambda one: one.status,
            "attempts": lambda one: str(len(one.attempts)),
            "outcome": _last_outcome,
            "next attempt": lambda one: show.moment(one.due_at),
        },
        as_json=as_json,
    )


def replay(context: typer.Context, webhook: _Id, delivery: _DeliveryId, as_json: AsJson = False) -> None:
    """Send the message of a delivery again."""
    with client_of(context) as client:
        _print_delivery(client.replay_delivery(webhook, delivery), as_json=as_json)


def _print(webhook: Webhook, *, as_json: bool) -> None:
    events = ", ".join(webhook.events) or "all"
    lines = [
        f"webhook   {webhook.id}",
        f"url       {webhook.url}",
        f"events    {events}",
        f"state     {_state(webhook)}",
    ]
    show.value(webhook, "\n".join(lines), as_json=as_json)


def _print_secret(webhook: NewWebhook, *, as_json: bool) -> None:
    show.note("Keep the secret: it is shown only now.")
    show.value(webhook, f"webhook   {webhook.id}\nsecret    {webhook.secret}", as_json=as_json)


def _print_delivery(delivery: Delivery, *, as_json: bool) -> None:
    show.value(
        delivery, f"delivery  {delivery.id}\nevent     {delivery.event}\nstatus    {delivery.status}", as_json=as_json
    )


def _state(webhook: Webhook) -> str:
    if webhook.disabled_at is not None:
        return f"disabled since {show.moment(webhook.disabled_at)}"
    return "active" if webhook.failing_since is None else f"failing since {show.moment(webhook.failing_since)}"


def _last_outcome(delivery: Delivery) -> str:
    if not delivery.attempts:
        return ""
    last = delivery.attempts[-1]
    return last.outcome if last.http_status is None else f"{last.outcome} ({last.http_status})"
