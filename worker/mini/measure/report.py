"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from worker.mini.measure.metrics import RowResults, figures_of
from worker.mini.measure.phrases import Rates
from worker.mini.measure.rows import DEFAULT
from worker.mini.measure.scores import Estimate, nothing

FLAT = ("top1", "swap_rate", "identity_share", "background_psnr_db")
_SHARES = {
    "served", "top1", "top1_of_all", "swap_rate", "faceless_rate", "identity_share", "identity_share_of_all",
    "cast_found", "place_seen", "recall", "wrong_person", "missing",
}  # fmt: skip
_WIDTH = 24
_NOTES = """\
Figures are over the jobs that were served; "of all" counts a refused job as nobody drawn.
identity: the least of a job's people by the evaluation recogniser's cosine, a missing face counting 0;
floor: strangers, ceiling: the same people drawn by the world, by the same rule; share: of the way between.
top1: a concept's face is nearer to its own portrait than to 99 strangers'. swap: nearer to another concept's.
background: against the template outside the masks; far: 16 px and more from them. seam: gradient on the
masks' edges over the template's. cast, place: seen in the final picture by the detector, and by a linear
classifier that is right in {place:.1%} of drawn scenes."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A run's results, as far as it has come. rows and phrases are in the order of measuring; phrases: by engine.

    people: in a job of the default row.
    """

    seed: int
    people: int
    bundle: str
    place_accuracy: Estimate
    rows: dict[str, RowResults] = field(default_factory=dict)
    phrases: dict[str, Rates] = field(default_factory=dict)


def as_json(findings: Findings) -> dict[str, Any]:
    """The default row's figures as plain numbers, and everything with intervals and counts under `rows` and `phrases`.

    recall and wrong_person are of drawn scenes with as many people as a job of the default row has, by the first
    engine. NaN is null.
    """
    rows = {name: figures_of(results) for name, results in findings.rows.items()}
    flat: dict[str, Any] = {name: _number(rows.get(DEFAULT, {}).get(name, nothing()).value) for name in FLAT}
    crowd = next(iter(findings.phrases.values()), {}).get(f"{findings.people} people", {})
    flat |= {name: _number(crowd.get(name, nothing()).value) for name in ("recall", "wrong_person")}
    return {
        **flat,
        "seed": findings.seed,
        "people": findings.people,
        "bundle": findings.bundle,
        "place_accuracy": _entry(findings.place_accuracy),
        "rows": {
            name: {
                "jobs": len(results.metrics) + len(results.rejected),
                "refused": dict(_reasons(results)),
                **{figure: _entry(estimate) for figure, estimate in rows[name].items()},
            }
            for name, results in findings.rows.items()
        },
        "phrases": {
            engine: {kind: {name: _entry(one) for name, one in own.items()} for kind, own in rates.items()}
            for engine, rates in findings.phrases.items()
        },
    }


def as_table(findings: Findings) -> str:
    """The rows side by side, three at a time, and the phrases below."""
    lines = [f"seed {findings.seed}, {findings.bundle}, {findings.people} people a job; 95 % intervals in brackets"]
    names = list(findings.rows)
    for start in range(0, len(names), 3):
        lines += ["", *_rows(findings, names[start : start + 3])]
    for engine, rates in findings.phrases.items():
        lines += ["", _line(f"drawn scenes, {engine}", ["recall", "wrong person", "missing"])]
        for kind, own in rates.items():
            cases = next(iter(own.values())).cases
            lines.append(_line(f"  {kind} ({cases})", [_words(name, one) for name, one in own.items()]))
    return "\n".join([*lines, "", _NOTES.format(place=findings.place_accuracy.value)])


def _rows(findings: Findings, names: list[str]) -> list[str]:
    tallies = [findings.rows[name] for name in names]
    figures = [figures_of(results) for results in tallies]
    lines = [
        _line("", names),
        _line("jobs measured", [str(len(results.metrics)) for results in tallies]),
        _line("jobs refused", [_refused(results) for results in tallies]),
    ]
    lines += [
        _line(figure.replace("_", " "), [_words(figure, own[figure]) for own in figures]) for figure in figures[0]
    ]
    return lines


def _refused(results: RowResults) -> str:
    reasons = " ".join(f"{code}:{count}" for code, count in sorted(_reasons(results).items()))
    return f"{len(results.rejected)} {reasons}".strip()


def _reasons(results: RowResults) -> Counter[str]:
    return Counter(refusal.code for refusal in results.rejected)


def _line(label: str, cells: list[str]) -> str:
    return f"{label:<27}" + "  ".join(f"{cell:<{_WIDTH}}" for cell in cells).rstrip()


def _words(figure: str, one: Estimate) -> str:
    if math.isnan(one.value):
        return "-"
    if figure in _SHARES:
        return f"{one.value:7.1%} [{one.low:.1%}, {one.high:.1%}]"
    digits = 1 if figure.endswith("_db") else 3
    return f"{one.value:7.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def _entry(one: Estimate) -> dict[str, Any]:
    return {name: _number(value) for name, value in asdict(one).items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
