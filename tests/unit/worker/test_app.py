from __future__ import annotations

import pickle
import subprocess
import sys

from shared.broker import TASK_OF
from tests.support.fakes import QUICK, no_stages
from worker.app import create_app


def test_a_spawned_executor_gets_an_app_with_the_same_settings_and_tasks() -> None:
    again = pickle.loads(pickle.dumps(create_app(QUICK, no_stages)))
    assert again.settings == QUICK
    assert again.load_stages is no_stages
    assert set(TASK_OF.values()) <= set(again.tasks)


def test_two_apps_of_one_process_have_tasks_of_their_own() -> None:
    one, two = create_app(QUICK, no_stages), create_app(QUICK, no_stages)
    assert all(one.tasks[name] is not two.tasks[name] for name in TASK_OF.values())


def test_the_supervisor_loads_no_model_library() -> None:
    code = "import sys, worker.app; print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"
