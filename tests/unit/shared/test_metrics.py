from __future__ import annotations

import subprocess
import sys


def test_threads_that_count_for_the_first_time_at_once_count_with_the_same_meters() -> None:
    # In a process of its own: in this one they may have been made before.
    code = (
        "from concurrent.futures import ThreadPoolExecutor; from shared.telemetry.metrics import meters\n"
        "with ThreadPoolExecutor(16) as pool: made = list(pool.map(lambda _: id(meters()), range(64)))\n"
        "print(len(set(made)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr
