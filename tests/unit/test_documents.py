"""What the README says about settings and errors is what the code does."""

from __future__ import annotations

import pytest

from compose.documents import README, TABLES, section, settings_table, with_tables
from shared.settings import Settings


@pytest.mark.parametrize("name", TABLES)
def test_the_readme_has_the_table_as_the_code_would_write_it(name: str) -> None:
    assert section(name) in README.read_text(), "run: python -m compose.documents --write"


def test_every_setting_says_what_it_is_for() -> None:
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_a_settings_row_shows_values_limits_and_default() -> None:
    table = settings_table()
    assert "| `TROUPE_API_PORT` | whole number, ≥ 0, ≤ 65535 | `8000` |" in table
    assert "| `TROUPE_ROLE` | `detection`, `generation`, `all` | `all` |" in table


def test_writing_twice_changes_nothing() -> None:
    text = "# Head\n" + "\n\ntext\n\n".join(section(name).replace("Meaning", "stale") for name in TABLES) + "\ntail\n"
    once = with_tables(text)
    assert with_tables(once) == once
    assert once.startswith("# Head\n")
    assert once.endswith("\ntail\n")
    assert "stale" not in once


def test_a_text_without_a_place_for_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for the table of settings"):
        with_tables("# Head\n")
