"""The tables of the documents are those that the code generates, and the README stays short."""

from __future__ import annotations

import pytest

from compose.documents import TABLES, section, settings_table, with_table
from compose.processes import ROOT
from shared.settings import Settings

MOST_LINES, MOST_BYTES = 150, 10_000


@pytest.mark.parametrize("name", TABLES)
def test_a_document_has_the_table_as_the_code_generates_it(name: str) -> None:
    assert section(name) in TABLES[name].document.read_text(), "run: python -m compose.documents --write"


def test_every_setting_says_what_it_is_for() -> None:
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_a_settings_row_shows_values_limits_and_default() -> None:
    table = settings_table()
    assert "| `TROUPE_API_PORT` | whole number, ≥ 0, ≤ 65535 | `8000` |" in table
    assert "| `TROUPE_ROLE` | `detection`, `generation`, `all` | `all` |" in table


@pytest.mark.parametrize("name", TABLES)
def test_writing_twice_changes_nothing(name: str) -> None:
    once = with_table(name, f"# Head\n\n{section(name).replace('Meaning', 'stale')}\n\ntail\n")
    assert with_table(name, once) == once
    assert once.startswith("# Head\n")
    assert once.endswith("\ntail\n")
    assert "stale" not in once


def test_a_text_without_a_place_for_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for the table of settings"):
        with_table("settings", "# Head\n")


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert len(text.encode()) <= MOST_BYTES
