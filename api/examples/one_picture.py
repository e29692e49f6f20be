"""Sends one job and saves its picture: `.venv/bin/python -m api.examples.one_picture [URL]`, from the root folder.

In your own program, import the installed package `troupe_client` (`pip install .`) instead of `api.client`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from api.client import Client, scene

PORTRAITS = Path("worker/mini/portraits")
CAST = {"the man": PORTRAITS / "ben.png", "the woman": PORTRAITS / "anna.png"}


def main() -> None:
    """Submits the scene, waits for it, and prints how similar each person is to their portrait."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    with Client(url, key=os.environ.get("TROUPE_KEY")) as troupe:
        job = troupe.submit(scene("a man and a woman on the beach", CAST, sampling={"seed": 7}))
        done = troupe.wait(job.id)
        done.check()  # raises the error of a failed job
        picture = Path("one-picture.png")
        picture.write_bytes(troupe.picture(job.id))
    print(f"{picture} of job {done.id}")
    if done.verification is not None:
        for phrase, face in zip(CAST, done.verification.faces, strict=True):
            print(f"{phrase}: similarity {face.identity}")


if __name__ == "__main__":
    main()
