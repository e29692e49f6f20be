"""Entity tags of records that count their visible changes."""

from __future__ import annotations


def etag(sequence: int) -> str:
    """The tag of a record after this many changes. Weak: the place in the queue or a rate changes without one."""
    return f'W/"{sequence}"'


def is_current(tags: str, sequence: int) -> bool:
    """Whether an If-None-Match names the record as it is (weak comparison, RFC 9110 section 13.1.2)."""
    given = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    return "*" in given or f'"{sequence}"' in given
