"""The Celery app of a worker: `celery -A worker.app worker`, with its role in TROUPE_ROLE."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps, signals
from celery.worker.components import Hub
from celery.worker.consumer.tasks import Tasks

from shared import broker
from shared.blob_store import BlobStore
from shared.settings import Role, Settings
from shared.startup import Problem, check_servers
from shared.telemetry.log import bring_home
from worker.logs import log_as
from worker.metrics_server import MetricsEndpoint
from worker.preflight import preflight
from worker.queue.executor import Executor
from worker.queue.supervisor import Supervisor
from worker.queue.tasks import add_tasks
from worker.runner.assignment import Loaded, LoadStages


class TroupeCelery(Celery):
    """A Celery app that a spawned executor rebuilds from its arguments."""

    settings: Settings
    load_stages: LoadStages
    supervisor: Supervisor

    def __reduce__(self) -> tuple[Callable[..., Celery], tuple[Settings, LoadStages]]:
        return create_app, (self.settings, self.load_stages)


class RunSupervisor(bootsteps.StartStopStep):
    """Runs the supervisor's threads while the worker runs.

    They stop at the signal `worker_shutdown`, not with a step: Celery does not define whether steps that require the
    hub stop before or after the pool, and the last job must learn that the worker drains.
    """

    requires = (Hub,)

    def start(self, worker: Any) -> None:
        """With the worker."""
        worker.app.supervisor.start(worker.hostname, lambda: worker.hub.call_soon(_wake_loop))

    def close(self, worker: Any) -> None:
        """Before anything stops: Celery waits for the running job, so the job must learn that it has to stop."""
        worker.app.supervisor.drain()


class ConsumeWhenReady(bootsteps.StartStopStep):
    """Consumes no message while the executor loads models or has a broken bundle: another worker may be ready.

    Celery calls `can_consume` before every read of its queues, and creates it again for every connection.
    """

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """With every connection."""
        qos = consumer.task_consumer.channel.qos
        can_consume, may_take = qos.can_consume, consumer.app.supervisor.may_take
        qos.can_consume = lambda: may_take() and can_consume()


def create_app(
    settings: Settings, load_stages: LoadStages, more_checks: Callable[[], list[Problem]] = list
) -> TroupeCelery:
    """A Celery app with all stages. Connects to nothing and loads nothing until a worker starts.

    more_checks: checks at the start, beside those of the servers.
    """
    app = TroupeCelery("troupe", set_as_current=False)
    app.settings, app.load_stages = settings, load_stages
    broker.configure(app, settings)
    app.select_queues(broker.queue_names(settings, settings.role))
    app.supervisor = Supervisor(app, settings)
    executor = Executor(settings, load_stages)
    add_tasks(app, executor)
    app.steps["worker"].add(RunSupervisor)
    app.steps["consumer"].add(ConsumeWhenReady)

    def stay_importable(**_: object) -> None:
        # The celery command has the working directory on the path only while it imports the app, and a spawned executor
        # gets the path of that moment: in a plain checkout it would not find this package.
        root = str(Path(__file__).resolve().parent.parent)
        if root not in sys.path:
            sys.path.append(root)

    metrics = MetricsEndpoint(settings)

    def open_metrics(**_: object) -> None:
        metrics.open(with_executor=True)

    def check(**_: object) -> None:
        preflight(lambda: more_checks() + check_servers(settings, BlobStore(settings)))

    def open_executor(sender: str, **_: object) -> None:
        executor.open(sender)

    def close_executor(**_: object) -> None:
        executor.attempts.close()

    def leave(**_: object) -> None:
        app.supervisor.stop()
        metrics.close()

    def executor_died(args: tuple[str, ...], exception: BaseException, **_: object) -> None:
        app.supervisor.executor_died(args[0], exception)

    log_as(f"worker-{settings.role}", settings)
    # The receivers live as long as the process, as the app does.
    signals.worker_init.connect(stay_importable, weak=False)
    signals.celeryd_init.connect(open_metrics, weak=False)
    signals.worker_init.connect(check, weak=False)
    signals.worker_process_init.connect(open_executor, weak=False)
    signals.worker_process_shutdown.connect(close_executor, weak=False)
    signals.worker_shutdown.connect(leave, weak=False)
    signals.task_failure.connect(executor_died, weak=False)
    return app


def load_stages(settings: Settings, role: Role) -> Loaded:
    """The real stages. Imports torch, so only executors call it."""
    # Checkpoints are files in the bundle's folder. The model libraries read this once, at import.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    from worker.runner.runner import load_stages as load  # noqa: PLC0415

    bring_home()
    return load(settings, role)


def check_checkpoints(settings: Settings) -> list[Problem]:
    """The missing checkpoints of the role. Loads nothing."""
    from worker.models.catalog import missing  # noqa: PLC0415 - Flower imports this module without models

    return [Problem(words=words, fatal=True) for words in missing(settings)]


def _wake_loop() -> None:
    """Does nothing: Celery's loop checks whether it may consume after every callback."""


def __getattr__(name: str) -> Celery:
    """`app`, created when `celery -A worker.app` accesses it: importing this module reads no settings."""
    if name != "app":
        raise AttributeError(name)
    settings = Settings.read_or_exit()
    return create_app(settings, load_stages, lambda: check_checkpoints(settings))
