"""How a run is spread over processes: how many, and which modules start first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

# A process that has loaded the models and the stacks that it starts take about this much memory.
_MEMORY_OF_ONE_GB = 5
# The longest modules come first, so that no process is left with one of them at the end.
_FIRST = ("unit/test_imports.py", "e2e", "faults", "integration")


def process_count(arguments: Sequence[str], expression: str) -> int:
    """How many processes run the selected tests; 0 is this one alone.

    Each process imports every selected module, which pays for whole folders only. arguments: files, folders or test
    ids; expression: of `-k`.
    """
    if expression or not all(Path(one).is_dir() for one in arguments):
        return 0
    memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    count = min(len(os.sched_getaffinity(0)), int(memory_gb / _MEMORY_OF_ONE_GB))
    return count if count > 1 else 0


def order(path: Path, tests: Path) -> int:
    """Place of a test module in a run, below the folder of all tests."""
    name = path.relative_to(tests).as_posix()
    return next((place for place, first in enumerate(_FIRST) if name.startswith(first)), len(_FIRST))
