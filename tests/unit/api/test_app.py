"""The app as a whole, without any server behind it."""

from __future__ import annotations

import subprocess
import sys


def test_the_api_loads_without_torch_celery_or_the_worker() -> None:
    code = "import api.__main__, sys; print([name for name in ('torch', 'celery', 'worker') if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert seen.stdout.strip() == "[]"
