"""Ends process groups whose owner is gone, and removes their temporary files.

Run as a file; on stdin the folder of these in a line, then one "{group} {grace in seconds}" line a group.

End of input means that the owner has left, in order or not. Groups that still live get SIGTERM, then SIGKILL. A group
id cannot be reused by the kernel while a member of the group lives, and a dead group is answered with an error.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_LOOK_EVERY_S = 0.1
# Until a killed process writes no more. One that nobody waits for still counts as there.
_DEATH_S = 2.0


def send(group: int, number: int) -> bool:
    """Sends a signal to a group; False when the group is gone. Signal 0 only asks."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Waits for the end of input, then ends what is left of the groups that were named."""
    # Only the owner's end may end the watchdog: not Ctrl-C, not a closing terminal.
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
