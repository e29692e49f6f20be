"""`troupe top`: the workers, the lanes and what runs, live."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from api.cli import show
from api.cli.connection import Connection
from api.client import Client, Queue, Worker
from shared.errors import TransientError

_LOOK_EVERY_S = 1.0
_SHOWN_ID = 8
# In 80 columns, names are cut so that numbers are not.
_MOST = {"host": 12, "bundle": 6, "device": 10}
_WIDE = 110
_COLOURS = {"ready": "green", "loading": "yellow", "draining": "yellow", "broken": "red"}


def add(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(top)


def top(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="One look, not a live view.")] = False,
) -> None:
    """Show the workers, the lanes and what runs, until Ctrl-C. Jobs of other tenants are only counted."""
    connection: Connection = context.obj
    if once or not show.out.is_terminal:
        with connection.open() as client:
            show.out.print(frame(_look(client), connection.url))
        return
    # What a look cannot tell is told by the next one: no second try in between.
    with connection.open(tries=1) as client, Live(console=show.out, screen=True, auto_refresh=False) as live:
        try:
            _follow(client, live, connection.url)
        except KeyboardInterrupt:
            return


@dataclass(frozen=True, kw_only=True)
class Look:
    """How things are at one moment."""

    workers: list[Worker]
    queue: Queue


def _look(client: Client) -> Look:
    return Look(workers=client.workers(), queue=client.queue())


def _follow(client: Client, live: Live, url: str) -> None:
    last: RenderableType = Text()
    while True:
        began_s = time.monotonic()
        try:
            last = frame(_look(client), url)
            live.update(last, refresh=True)
        except TransientError as error:
            # Whoever looks on wants to see it come back.
            live.update(Group(Text(f"no answer: {error.message}", "red", overflow="fold"), last), refresh=True)
        time.sleep(max(0.0, began_s + _LOOK_EVERY_S - time.monotonic()))


def frame(look: Look, url: str) -> RenderableType:
    """One look as it is shown: 80 columns are enough."""
    busy = sum(worker.busy for worker in look.workers)
    own = sum(worker.job is not None for worker in look.workers)
    head = f"{url}  {len(look.workers)} workers, {busy} busy ({own} with jobs of yours)"
    silent = [
        Text(f"{worker.name}: {worker.reason}", "red", overflow="fold")
        for worker in look.workers
        if worker.state == "broken"
    ]
    return Group(
        Text(head, "bold", overflow="fold"), Text(), _workers(look.workers), *silent, Text(), _lanes(look.queue)
    )


def _workers(workers: list[Worker]) -> Table:
    table = _table(
        "host", "role", "bundle", "device", "job", "stage", ">step", ">/s", ">free", narrow=show.out.width < _WIDE
    )
    for worker in workers:
        job = worker.job
        doing = "of others" if worker.busy else worker.state
        table.add_row(
            worker.host,
            worker.role,
            worker.bundle,
            worker.device.removeprefix("NVIDIA "),
            job.id[:_SHOWN_ID] if job else "",
            job.stage if job else Text(doing, _COLOURS.get(doing, "")),
            f"{job.step}/{job.steps}" if job and job.steps else "",
            f"{worker.steps_per_s:.1f}" if worker.steps_per_s else "",
            f"{worker.free_mb / 1000:.1f}G" if worker.memory_mb else "",
        )
    return table


def _lanes(queue: Queue) -> Table:
    table = _table("lane", ">waits", ">runs", ">pictures/min", ">eta", ">backlog of all")
    for name, lane in queue.lanes.items():
        numbers = str(lane.depth), str(lane.running), f"{lane.pictures_per_min:.1f}"
        table.add_row(name, *numbers, _seconds(lane.eta_s), _seconds(lane.backlog_s))
    return table


def _table(*names: str, narrow: bool = False) -> Table:
    """A column a name; those that begin with > stand to the right."""
    table = Table(box=None, padding=(0, 1 if narrow else 2, 0, 0), pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(
            name.lstrip(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=_MOST.get(name) if narrow else None,
        )
    return table


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f} s"
