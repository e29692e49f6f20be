"""Settings as they stand in an environment: values that lie in files, and names that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path

PREFIX = "TROUPE_"
_FILE = "_FILE"
# What the command line reads; a person who uses both has them in one environment.
_CLIENT = ("TROUPE_URL", "TROUPE_KEY")


class SettingsWrong(Exception):
    """The environment is not what this process can start with; the message is one line that says what to mend."""


def variable_of(field: str) -> str:
    """The variable of a setting."""
    return PREFIX + field.upper()


def values_from_files(environment: Mapping[str, str], fields: Collection[str]) -> dict[str, str]:
    """The settings whose variable with _FILE at its end names a file: its text without the line's end.

    Raises SettingsWrong where the file cannot be read, or the setting is given twice.
    """
    found = {}
    for field in fields:
        name = variable_of(field)
        file = environment.get(name + _FILE)
        if not file:
            continue
        if name in environment:
            raise SettingsWrong(f"{name} and {name}{_FILE} are both set: leave one of them out")
        try:
            found[field] = Path(file).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SettingsWrong(f"{name}{_FILE} names {file}, which cannot be read: {why}") from error
    return found


def check_names(environment: Mapping[str, str], fields: Collection[str]) -> None:
    """Raises SettingsWrong for the first variable that looks like a setting and is none, with the nearest one."""
    settings = [variable_of(field) for field in fields]
    known = {*settings, *(name + _FILE for name in settings), *_CLIENT}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
            hint = f"did you mean {near[0]}?" if near else "the README lists all settings"
            raise SettingsWrong(f"{name} is no setting: {hint}")
