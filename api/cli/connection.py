"""A command's server, common options, and failures: one line for people, an exit status for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from api.client import Client
from api.client.connection import TRIES
from shared.errors import RequestError, TransientError, TroupeError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Largest number of rows.")]
Consent = Annotated[
    str | None,
    typer.Option(
        "--consent",
        help="Basis on which the photos are used, such as 'written release 2026-11-03'; stored with those that are "
        "sent.",
        show_default=False,
    ),
]
FAILED, USAGE, UNAVAILABLE, TIMED_OUT, INTERRUPTED = 1, 2, 3, 4, 130

T = TypeVar("T")
_PROBES = 2
_PAGE = 100


class SavedFile(BaseModel):
    """A file that a command wrote."""

    file: Path


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The server of this run and the tenant's key. is_named: a person gave the address, so that it is not checked."""

    url: str
    key: str | None
    is_named: bool

    def open(self, *, tries: int = TRIES) -> Client:
        """A client. Raises RequestError for an invalid address, and if another server answers at the default one."""
        if not self.is_named:
            # A key or a photo must not reach a stranger that listens on the usual port.
            try:
                with Client(self.url, tries=_PROBES) as probe:
                    probe.ping()
            except (RequestError, TransientError) as error:
                error.message += "; name your server with --url or TROUPE_URL"
                raise
        return Client(self.url, key=self.key, tries=tries)


def client_of(context: typer.Context) -> Client:
    """A client for the options that stand before the command."""
    connection: Connection = context.obj
    return connection.open()


def gather(page: Callable[[str | None, int], tuple[Sequence[T], str | None]], limit: int) -> list[T]:
    """Rows of as many pages as needed. page: takes a cursor and a limit, and gives rows and the next cursor."""
    found: list[T] = []
    cursor: str | None = None
    while len(found) < limit:
        rows, cursor = page(cursor, min(_PAGE, limit - len(found)))
        found += rows
        if cursor is None:
            break
    return found


@contextmanager
def one_line_failures() -> Iterator[None]:
    """Ends the process with one line instead of a traceback, for every expected failure."""
    try:
        yield
    except TroupeError as error:
        fail(f"{error.message} ({error.code})", UNAVAILABLE if isinstance(error, TransientError) else FAILED)
    except TimeoutError as error:
        fail(str(error), TIMED_OUT)
    except ValidationError as error:
        fail(f"this client cannot read the server's answer: {error.error_count()} fields differ", FAILED)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {error.strerror or error}", FAILED)


def fail(words: str, status: int) -> NoReturn:
    """Prints the reason and ends the process."""
    # A server's text must stay on one line and must not write control characters to a terminal.
    line = "".join(char if char.isprintable() else " " for char in words)
    sys.stderr.write(f"troupe: {line}\n")
    sys.exit(status)
