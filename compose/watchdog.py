"""Ends process groups whose owner has ended, and deletes their temporary files.

Runs as a file. The first line of stdin is the folder of temporary files; each further line is "{group} {grace in
seconds}". The end of the input means that the owner has ended. Remaining groups get SIGTERM, then SIGKILL. The kernel
does not reuse a group id while a member of the group lives, so no foreign process can be hit.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_LOOK_EVERY_S = 0.1
# Time in which a killed process disappears. A zombie still counts as a member of its group.
_DEATH_S = 2.0


def send(group: int, number: int) -> bool:
    """Sends a signal to a group; False if the group has ended. Signal 0 only tests."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Waits for the end of the input, then ends the remaining groups."""
    # Only the end of the owner ends the watchdog, not Ctrl-C or a closed terminal.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    graces: dict[int, float] = {}
    temporary = sys.stdin.readline().rstrip("\n")
    for line in sys.stdin:
        group, grace_s = line.split()
        graces[int(group)] = float(grace_s)
    left = [group for group in graces if send(group, signal.SIGTERM)]
    deadline = time.monotonic() + max((graces[group] for group in left), default=0.0)
    while time.monotonic() < deadline and any(send(group, 0) for group in left):
        time.sleep(_LOOK_EVERY_S)
    for group in left:
        send(group, signal.SIGKILL)
    deadline = time.monotonic() + _DEATH_S
    while time.monotonic() < deadline and any(send(group, 0) for group in left):
        time.sleep(_LOOK_EVERY_S)
    import shutil  # noqa: PLC0415 - a watchdog must start fast, and stay small while it waits

    shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
