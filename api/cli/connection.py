"""Where the command asks, and how it fails: one line for people, one status for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from api.client import Client
from api.client.connection import TRIES
from shared.errors import TransientError, TroupeError

Consent = Annotated[
    str | None,
    typer.Option(
        "--consent",
        help="On what basis photos that are sent are used, such as 'written release 2026-11-03'.",
        show_default=False,
    ),
]
FAILED, USAGE, UNAVAILABLE, TIMED_OUT, INTERRUPTED = 1, 2, 3, 4, 130


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The server of this run, and the tenant's key."""

    url: str
    key: str | None

    def open(self, *, tries: int = TRIES) -> Client:
        """A client. Raises RequestError for an address that is none."""
        return Client(self.url, key=self.key, tries=tries)


def client_of(context: typer.Context) -> Client:
    """A client for the options that stand before the command."""
    connection: Connection = context.obj
    return connection.open()


@contextmanager
def failures_told() -> Iterator[None]:
    """Ends the process with one line instead of a traceback, for every failure that has a name."""
    try:
        yield
    except TroupeError as error:
        fail(f"{error.message} ({error.code})", UNAVAILABLE if isinstance(error, TransientError) else FAILED)
    except TimeoutError as error:
        fail(str(error), TIMED_OUT)
    except ValidationError as error:
        fail(f"the server answered what this client does not understand: {error.error_count()} fields differ", FAILED)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {error.strerror or error}", FAILED)


def fail(words: str, status: int) -> NoReturn:
    """Says why, and ends."""
    # Whatever a server says stays on one line and writes no control characters to a terminal.
    line = "".join(char if char.isprintable() else " " for char in words)
    sys.stderr.write(f"troupe: {line}\n")
    sys.exit(status)
