"""A real Chromium on the real stack, and what every visit must keep: no error, and nothing that the policy stops."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from compose.processes import ROOT, Processes, Program, Running
from compose.servers import HOST, free_port
from compose.stack import Stack
from tests.support.servers import missing
from worker.mini.portraits import FOLDER as PORTRAITS

SHOTS = ROOT / "var" / "e2e"
# Long enough for two busy cores; nothing that works waits this long.
PATIENCE_MS = 30_000
_WORDS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --headless"
)
# A browser asks its maker for updates and accounts even so. It finds this machine and nothing else.
_NO_NAMES = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
# What the browser itself says about an answer that the page expects and explains.
_EXPECTED = ("Failed to load resource", "net::ERR_")

# Over when nothing moves but what moves forever.
_STILL = """() => Promise.all(document.getAnimations()
    .filter((one) => one.effect.getComputedTiming().iterations !== Infinity)
    .map((one) => one.finished.catch(() => null)))"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own."""
    path = shutil.which("chromium")
    if path is None:
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_WORDS.split(), _NO_NAMES])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(kw_only=True)
class Door:
    """Another API process on the stack's Redis and S3, that a test may end and start again at the same address."""

    processes: Processes
    program: Program
    running: Running
    url: str

    def end(self) -> None:
        """Lets the process go; every stream through it breaks."""
        self.processes.stop(self.running)

    def start(self) -> None:
        """Starts it again and waits until it answers."""
        self.running = self.processes.start(self.program)
        self.processes.wait_until("api", self.answers, timeout_s=30)

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False


@contextmanager
def door(stack: Stack, logs: Path, **environment: str) -> Iterator[Door]:
    """Another API process of the stack, with settings of its own."""
    port = free_port()
    servers = {"TROUPE_REDIS_URL": stack.redis_url, "TROUPE_S3_ENDPOINT_URL": stack.s3_url}
    own = {**servers, "TROUPE_API_PORT": str(port), **environment}
    program = Program(name="api", command=[sys.executable, "-m", "api"], environment=own)
    with Processes(logs) as processes:
        made = Door(processes=processes, program=program, running=processes.start(program), url=f"http://{HOST}:{port}")
        processes.wait_until("api", made.answers, timeout_s=30)
        yield made


@dataclass(kw_only=True)
class Visit:
    """Somebody at the page. `faults` are the errors that the browser told of."""

    stack: Stack
    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def open(self, hash_: str = "#/") -> None:
        """Goes to an address of the page."""
        self.page.goto(f"{self.url}/{hash_}")

    def plan(self, scene: str = "a man and a woman on the beach", *names: str) -> None:
        """Fills in the form: Ben and Anna at the beach, or others elsewhere."""
        cast = names or ("ben", "anna")
        self.page.set_input_files(".cast > input[type=file]", [PORTRAITS / f"{name}.png" for name in cast])
        self.page.get_by_label("Scene", exact=True).fill(scene)
        for index, name in enumerate(cast):
            self.page.get_by_label("Name", exact=True).nth(index).fill(name.title())
        self.page.locator(".portrait[data-state=ready]").nth(len(cast) - 1).wait_for()

    def draw(self) -> None:
        """Presses the button."""
        self.page.get_by_role("button", name="Draw the picture").click()

    def until(self, status: str) -> None:
        """Waits until the newest job on the page has this status."""
        self.page.locator(f".job[data-status={status}]").last.wait_for()

    def job(self) -> str:
        """Id of the job that the page shows, the last of two."""
        identity = self.page.locator(".job").last.get_attribute("data-job")
        assert identity is not None
        return identity

    def shot(self, name: str, *, whole: bool = False) -> Path:
        """Keeps a screenshot, for people."""
        path = SHOTS / f"{name}.png"
        # Pictures with a transition would differ from run to run.
        self.page.evaluate(_STILL)
        self.page.screenshot(path=path, full_page=whole)
        return path

    def listen(self) -> None:
        """Notes every error of the page from now on."""

        def said(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"} and not any(one in message.text for one in _EXPECTED):
                self.faults.append(message.text)

        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))


def submit(url: str, **changes: Any) -> dict[str, Any]:
    """A job of Ben and Anna, asked for without the page."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        concepts = [
            {"phrase": phrase, "photos": [upload(client, name)]}
            for phrase, name in (("the man", "ben"), ("the woman", "anna"))
        ]
        asked = {"prompt": "a man and a woman on the beach", "concepts": concepts, "sampling": {"seed": 7}}
        answer = client.post("/v1/jobs", json=asked | changes)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job


def upload(client: httpx.Client, name: str) -> str:
    """Id of the portrait of this name."""
    answer = client.post("/v1/photos", files={"photo": (PORTRAITS / f"{name}.png").read_bytes()})
    identity: str = answer.json()["id"]
    return identity
