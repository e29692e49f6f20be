"""`./run demo`: draws two portraits into a scene with the whole stack, over HTTP like any client."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from compose.local import stop_on_signals
from compose.processes import ROOT, StackFailed
from compose.progress import ProgressLines
from compose.servers import free_port
from compose.sheet import Cast, contact_sheet, over_template
from compose.stack import AlreadyUp, running_stack

FOLDER = ROOT / "demo"
STATE = ROOT / "var" / "demo"
PORTRAITS = ROOT / "worker" / "mini" / "portraits"
_POLL_S = 20
# The published bundle is slow on a CPU.
_JOB_S = 3600.0


class DemoFailed(Exception):
    """The job made no picture. The message gives the reason."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The job of the demo: phrases[i] is the person of portraits[i]."""

    prompt: str
    phrases: Sequence[str]
    portraits: Sequence[Path]
    seed: int


def play(scene: Scene, url: str, folder: Path) -> list[Path]:
    """Submits the scene to the API at url and writes all pictures into the folder. Raises DemoFailed."""
    with httpx.Client(base_url=url, timeout=_POLL_S + 10, follow_redirects=True, trust_env=False) as client:
        photos = [_upload(client, path) for path in scene.portraits]
        job = _submit(client, scene, photos)
        print(f"job {job['id']}: {scene.prompt}")
        done = _follow(client, job["id"])
        pictures = {name: _picture(client, done["urls"][name]) for name in ("template", "masks", "picture")}
    for warning in done["warnings"]:
        print(f"  warning: {warning}")
    seconds = sum(done["timings"].values())
    print(f"  {'all stages':<12} {'':<34} {seconds:6.2f} s")
    return _write(scene, pictures, folder)


def _upload(client: httpx.Client, path: Path) -> str:
    with path.open("rb") as photo:
        answer = _checked(client.post("/v1/photos", files={"photo": (path.name, photo, "image/png")}))
    identity: str = answer["id"]
    return identity


def _submit(client: httpx.Client, scene: Scene, photos: Sequence[str]) -> dict[str, Any]:
    cast = zip(scene.phrases, photos, strict=True)
    concepts = [{"phrase": phrase, "photos": [photo]} for phrase, photo in cast]
    order = {"prompt": scene.prompt, "concepts": concepts, "sampling": {"seed": scene.seed}}
    return _checked(client.post("/v1/jobs", json=order))


def _follow(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Long-polls until the job is done, showing its progress. Raises DemoFailed unless it succeeded."""
    lines = ProgressLines(sys.stdout)
    deadline = time.monotonic() + _JOB_S
    tag = ""
    while time.monotonic() < deadline:
        answer = client.get(f"/v1/jobs/{job_id}", params={"wait": _POLL_S}, headers={"If-None-Match": tag})
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            continue
        job = _checked(answer)
        lines.show(job)
        if job["status"] == "succeeded":
            return job
        if job["done"]:
            error = job["error"] or {"code": job["status"], "message": "no reason given"}
            message = f"the job ended {job['status']} ({error['code']}): {error['message']}"
            raise DemoFailed(message)
        tag = answer.headers["ETag"]
    message = f"the job was not done after {_JOB_S:.0f} s"
    raise DemoFailed(message)


def _picture(client: httpx.Client, address: str) -> bytes:
    answer = client.get(address)
    if answer.status_code != httpx.codes.OK:
        message = f"{address} answered {answer.status_code}: {answer.text[:200]}"
        raise DemoFailed(message)
    return answer.content


def _checked(answer: httpx.Response) -> dict[str, Any]:
    """The body of a good answer. Raises DemoFailed with the problem's own words."""
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        message = f"the API answered {answer.status_code} ({body.get('code')}): {body.get('detail')}"
        raise DemoFailed(message)
    return body


def _write(scene: Scene, files: dict[str, bytes], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    cast = [
        Cast(phrase=phrase, portrait=Image.open(path).convert("RGB"))
        for phrase, path in zip(scene.phrases, scene.portraits, strict=True)
    ]
    pictures = {name: Image.open(io.BytesIO(data)) for name, data in files.items()}
    masked = over_template(pictures["template"], pictures["masks"])
    sheet = contact_sheet(scene.prompt, cast, pictures["template"], masked, pictures["picture"])
    named = {f"portrait-{place}-{scene.portraits[place - 1].stem}": one.portrait for place, one in enumerate(cast, 1)}
    named |= {"masks": masked, "contact": sheet}
    for name, picture in named.items():
        picture.save(folder / f"{name}.png")
    # Written as received: encoding them again would remove their manifest.
    for name in ("template", "picture"):
        (folder / f"{name}.png").write_bytes(files[name])
    return [folder / f"{name}.png" for name in (*named, "template", "picture")]


def _scene(asked: argparse.Namespace) -> Scene:
    if len(asked.phrases) != len(asked.portraits):
        message = f"{len(asked.phrases)} phrases and {len(asked.portraits)} portraits: give one of each per person"
        raise DemoFailed(message)
    for path in asked.portraits:
        if not path.is_file():
            message = f"portrait {path} does not exist"
            raise DemoFailed(message)
    return Scene(prompt=asked.prompt, phrases=asked.phrases, portraits=asked.portraits, seed=asked.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run demo", description="Draws people into a scene.")
    parser.add_argument("--prompt", default="a man and a woman on the beach", help="the scene")
    parser.add_argument(
        "--phrases", nargs="+", default=["the man", "the woman"], help="a phrase for each person of the scene"
    )
    parser.add_argument("--portraits", nargs="+", type=Path, default=[PORTRAITS / "ben.png", PORTRAITS / "anna.png"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the stack running until Ctrl-C")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    asked = _parser().parse_args(words)
    start = time.monotonic()
    try:
        scene = _scene(asked)
        # Fresh, because the results of an earlier demo would be reused.
        stack_here = running_stack(STATE, api_port=free_port(), say=_say, fresh=True)
        with stop_on_signals(), stack_here as stack:
            shutil.rmtree(FOLDER, ignore_errors=True)
            written = play(scene, stack.url, FOLDER)
            for path in written:
                print(f"  {path.relative_to(ROOT)}")
            if asked.keep:
                print(f"the stack keeps running at {stack.url} (see {stack.url}/docs); Ctrl-C stops it", flush=True)
                while True:
                    stack.check()
                    time.sleep(0.2)
    except (DemoFailed, StackFailed, AlreadyUp, httpx.TransportError) as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    print(f"done in {time.monotonic() - start:.1f} s; look at {(FOLDER / 'contact.png').relative_to(ROOT)}")
    return 0


def _say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
