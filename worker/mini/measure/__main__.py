"""Measure the mini bundle on people it has never seen: `./run eval --seed 7 --jobs 100`."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from transformers.utils import logging as transformers_log

from shared.errors import BundleError
from shared.job import Mode
from shared.settings import Settings
from worker.mini.measure.cases import draw_strangers
from worker.mini.measure.metrics import Scorer
from worker.mini.measure.phrases import draw_crowds, find_people
from worker.mini.measure.pipeline import Pipeline
from worker.mini.measure.place import fit_place_reader
from worker.mini.measure.recogniser import load_recogniser
from worker.mini.measure.report import Findings, as_json, as_table
from worker.mini.measure.rows import ALL, DEFAULT, SPEED, TABLE, row_of
from worker.mini.measure.run import Countdown, Evaluation, Line
from worker.mini.measure.sheet import draw_sheet
from worker.models.bundle import Bundle, load_bundle
from worker.models.catalog import MINI

_ROW_JOBS = 20
_CROWDS = (1, 2, 3, 4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the measure and prints its table. 130 when it was broken off, with what was measured so far."""
    # insightface 2.1 aligns faces by a call that scikit-image renamed.
    warnings.filterwarnings("ignore", "`estimate` is deprecated", FutureWarning)
    transformers_log.set_verbosity_error()
    transformers_log.disable_progress_bar()
    parser = _parser()
    asked = parser.parse_args(arguments)
    names = {"default": [DEFAULT, "template"], "table": list(TABLE), "speed": list(SPEED), "all": list(ALL)}
    chosen = list(dict.fromkeys(name for word in asked.rows for name in names.get(word, [word])))
    try:
        rows = [row_of(name, people=asked.concepts, mode=asked.mode) for name in chosen]
    except ValueError as error:
        parser.error(str(error))
    # The rows of the promises get every job; the others are there to choose by.
    lines = [Line(row=row, jobs=asked.jobs if row.name in {*TABLE, *SPEED} else _row_jobs(asked)) for row in rows]
    try:
        bundle = load_bundle(_settings(asked, "transformers"), "all")
        return _measure(asked, bundle, lines)
    except BundleError as error:
        print(f"eval: {error}", file=sys.stderr)
        return 1


def _measure(asked: argparse.Namespace, bundle: Bundle, lines: Sequence[Line]) -> int:
    if bundle.detection is None or bundle.generation is None:
        raise BundleError("the bundle was not loaded for both roles")
    recogniser = load_recogniser(MINI / "faces" / "judge.onnx", bundle.detection.faces)
    print("drawing the strangers, fitting the reader of places", file=sys.stderr)
    strangers = np.stack([recogniser.embed(portrait) for portrait in draw_strangers(asked.seed)])
    places = fit_place_reader()
    findings = Findings(seed=asked.seed, people=asked.concepts, bundle=bundle.name, place_accuracy=places.accuracy)
    scorer = Scorer(recogniser, places, strangers, asked.seed)
    evaluation = Evaluation(Pipeline(bundle.detection, bundle.generation), scorer, findings)
    broken_off = False
    try:
        _find(asked, bundle, findings, everything=asked.rows != ["default"])
        evaluation.measure(lines, Countdown(total=sum(line.jobs for line in lines)))
    except KeyboardInterrupt:
        broken_off = True
        print("\nbroken off; this is what was measured so far", file=sys.stderr)
    print(as_table(findings))
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_json(findings), indent=1, allow_nan=False) + "\n")
    strips = evaluation.strips(asked.concepts)
    if asked.sheet is not None and strips:
        shown = [
            line.row.name for line in lines if line.row.people == asked.concepts and line.row.name in findings.rows
        ]
        draw_sheet(strips, [name for name in shown if name != "template"]).save(asked.sheet, optimize=True)
    return 130 if broken_off else 0


def _find(asked: argparse.Namespace, bundle: Bundle, findings: Findings, *, everything: bool) -> None:
    """The detectors on drawn scenes: for the flat figures a job's people by the default engine, or crowds by both."""
    if bundle.detection is None:
        return
    print("looking for people in drawn scenes", file=sys.stderr)
    scenes = draw_crowds(asked.seed, asked.jobs, [asked.concepts])
    if everything:
        others = [people for people in _CROWDS if people != asked.concepts]
        scenes += draw_crowds(asked.seed, _row_jobs(asked), others)
    findings.phrases["transformers"] = find_people(bundle.detection.phrases, scenes)
    if everything:
        original = load_bundle(_settings(asked, "original"), "detection")
        if original.detection is not None:
            findings.phrases["original"] = find_people(original.detection.phrases, scenes)


def _row_jobs(asked: argparse.Namespace) -> int:
    jobs: int = min(asked.jobs, _ROW_JOBS) if asked.row_jobs is None else asked.row_jobs
    return jobs


def _settings(asked: argparse.Namespace, engine: Literal["transformers", "original"]) -> Settings:
    """The embedded models on the CPU, whatever a person has set for serving."""
    return Settings(bundle="mini", device="cpu", dtype="float32", dino_engine=engine, torch_threads=asked.threads)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run eval", description="Measure the mini bundle on people it never saw.")
    parser.add_argument("--seed", type=int, default=7, help="settles scenes, people and noise (default: 7)")
    parser.add_argument("--jobs", type=int, default=100, help="jobs of each row of the table (default: 100)")
    parser.add_argument("--mode", choices=get_args(Mode), help="of the default row, instead of the product's")
    parser.add_argument("--concepts", type=int, choices=range(1, 6), default=2, help="people a job (default: 2)")
    parser.add_argument(
        "--rows",
        nargs="+",
        default=["table"],
        metavar="NAME",
        help="default, table (what the promises need; the default), speed (what each saving costs), all, or names: "
        "words joined by '-', such as literal-1.0, ellipse-k3, keep1.0-crop0.05, together, pasted, template",
    )
    parser.add_argument("--row-jobs", type=int, help=f"jobs of each row outside the table (default: {_ROW_JOBS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, with intervals and counts")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="pictures of the first jobs side by side")
    # Networks this small are slower on two threads, many times so where something else runs on the machine.
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch (default: 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
