"""What draws: workers of every role, their commands, and the mini bundle with its trainings.

This package is the only one that imports model libraries, and they report to their makers from the first import on. So
every way into it turns that off first; no entry point can forget it.
"""

import os

from shared.no_telemetry import turn_off_telemetry

turn_off_telemetry(os.environ)
