"""How the tests themselves are spread over processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.parallel import order, process_count

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("arguments", "expression"),
    [
        ([str(Path(__file__))], ""),
        ([f"{__file__}::test_the_longest_modules_come_first"], ""),
        ([str(TESTS), str(Path(__file__))], ""),
        ([str(TESTS)], "longest"),
    ],
)
def test_a_few_tests_run_in_one_process(arguments: list[str], expression: str) -> None:
    assert process_count(arguments, expression) == 0


def test_a_folder_has_a_process_for_each_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for cpus, processes in (({0}, 0), ({0, 1}, 2)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, found=cpus: found)
        assert process_count([str(TESTS)], "") == processes


def test_memory_bounds_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 4_000_000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert process_count([str(TESTS)], "") == 3


def test_the_longest_modules_come_first() -> None:
    modules = ["unit/test_imports.py", "e2e/test_page.py", "faults/test_executors.py", "unit/api/test_app.py"]
    assert sorted(sorted(modules), key=lambda name: order(TESTS / name, TESTS)) == modules
    assert all((TESTS / name).exists() for name in modules)
