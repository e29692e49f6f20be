"""`python -m compose.documents [--write]`: the tables of settings and errors, generated into the documents."""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from compose.processes import ROOT
from shared.errors import error_kinds
from shared.settings import Settings


def settings_table() -> str:
    """Every setting: variable, values, default, meaning. Markdown."""
    rows = [
        (f"`TROUPE_{name.upper()}`", _values(field), _default(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _table(("Variable", "Values", "Default", "Meaning"), rows)


def errors_table() -> str:
    """Every error code: HTTP status, whether a retry can help, meaning. Markdown."""
    rows = [
        (f"`{kind.code}`", str(kind.status.value), "yes" if kind.retryable else "no", kind.meaning)
        for kind in error_kinds()
    ]
    return _table(("Code", "HTTP", "Retry", "Meaning"), rows)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A generated table: the document that contains it, and the function that gives its Markdown."""

    document: Path
    rows: Callable[[], str]


TABLES = {
    "settings": Table(document=ROOT / "compose" / "README.md", rows=settings_table),
    "errors": Table(document=ROOT / "api" / "README.md", rows=errors_table),
}


def section(name: str) -> str:
    """A table between the comments that mark its place in the document."""
    return f"<!-- {name}: made by python -m compose.documents -->\n{TABLES[name].rows()}\n<!-- end of {name} -->"


def with_table(name: str, text: str) -> str:
    """The text with a new version of the table. Raises ValueError if the text has no marks for it."""
    table = section(name)
    first, last = table.splitlines()[0], table.splitlines()[-1]
    if first not in text or last not in text:
        message = f"no place for the table of {name}: add the lines {first!r} and {last!r} to the document"
        raise ValueError(message)
    before, rest = text.split(first, 1)
    return before + table + rest.split(last, 1)[1]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _values(field: FieldInfo) -> str:
    limits = [_limit(rule) for rule in field.metadata]
    return ", ".join([_type(field.annotation), *filter(None, limits)])


def _type(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if origin in {Union, types.UnionType}:
        return " or ".join(_type(part) for part in get_args(kind) if part is not type(None))
    names = {str: "text", SecretStr: "secret", int: "whole number", float: "number", bool: "`true`, `false`"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _limit(rule: object) -> str:
    for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
        if (bound := getattr(rule, name, None)) is not None:
            return f"{sign} {bound:g}" if isinstance(bound, float) else f"{sign} {bound}"
    return ""


def _default(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, float):
        value = f"{value:g}"
    return f"`{value}`" if value not in {"", None} else "empty"


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="compose.documents", description="Tables of settings and errors.")
    parser.add_argument("--write", action="store_true", help="write them into their documents")
    if parser.parse_args(words).write:
        for name, table in TABLES.items():
            table.document.write_text(with_table(name, table.document.read_text()))
    else:
        print("\n\n".join(section(name) for name in TABLES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
