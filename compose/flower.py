"""Configuration of Flower, which runs it as Python: read-only, and with a login."""

import os
from pathlib import Path
from typing import Any

# `name:password`, in a file, as container platforms provide secrets. Without the file Flower does not start.
basic_auth = [Path(os.environ.get("FLOWER_LOGIN_FILE", "/run/secrets/flower_login")).read_text().strip()]
read_only = True
tasks_columns = "name,args,state,received,runtime,worker"
# Tasks are short-lived; the result of a job is in its record.
max_tasks = 10_000
purge_offline_workers = 60


def format_task(task: Any) -> Any:
    """A task for display: its name is the stage, its argument the id of the job or the delivery."""
    task.args = str(task.args or "").strip("()[],' \"")
    return task
