"""`python -m compose.documents [--write]`: the README's tables, made from the code that they describe."""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from compose.processes import ROOT
from shared.errors import error_kinds
from shared.settings import Settings

README = ROOT / "README.md"


def settings_table() -> str:
    """Every setting: variable, values, default, meaning. Markdown."""
    rows = [
        (f"`TROUPE_{name.upper()}`", _values(field), _default(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _table(("Variable", "Values", "Default", "Meaning"), rows)


def errors_table() -> str:
    """Every error code: HTTP status, whether trying again can help, meaning. Markdown."""
    rows = [
        (f"`{kind.code}`", str(kind.status.value), "yes" if kind.retryable else "no", kind.meaning)
        for kind in error_kinds()
    ]
    return _table(("Code", "HTTP", "Try again", "Meaning"), rows)


TABLES = {"settings": settings_table, "errors": errors_table}


def section(name: str) -> str:
    """A table between the marks that say where it is in the README."""
    return f"<!-- {name}: made by python -m compose.documents -->\n{TABLES[name]()}\n<!-- end of {name} -->"


def with_tables(text: str) -> str:
    """The text with every marked table made anew. Raises ValueError when a table has no marks in it."""
    for name in TABLES:
        table = section(name)
        first, last = table.splitlines()[0], table.splitlines()[-1]
        if first not in text or last not in text:
            message = f"the text has no place for the table of {name}: put the lines {first!r} and {last!r} into it"
            raise ValueError(message)
        before, rest = text.split(first, 1)
        text = before + table + rest.split(last, 1)[1]
    return text


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
    parser = argparse.ArgumentParser(prog="compose.documents", description="The README's tables from the code.")
    parser.add_argument("--write", action="store_true", help="put them into README.md")
    if parser.parse_args(words).write:
        README.write_text(with_tables(README.read_text()))
    else:
        print("\n\n".join(section(name) for name in TABLES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
