"""The worker as Celery starts it: `celery -A worker.app worker`, its role by TROUPE_ROLE."""

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
    """A Celery app that a spawned pool child builds anew from what it was made of."""

    settings: Settings
    load_stages: LoadStages
    parent: Supervisor

    def __reduce__(self) -> tuple[Callable[..., Celery], tuple[Settings, LoadStages]]:
        return create_app, (self.settings, self.load_stages)


class KeepQueue(bootsteps.StartStopStep):
    """Runs the parent's threads as long as the worker runs.

    They end with the signal `worker_shutdown`, not with a step: Celery does not say whether steps that ask for the hub
    stop before or after the pool, and until the last child has gone, its job must be told that the worker drains.
    """

    requires = (Hub,)

    def start(self, worker: Any) -> None:
        """With the worker."""
        worker.app.parent.start(worker.hostname, lambda: worker.hub.call_soon(_look_again))

    def close(self, worker: Any) -> None:
        """Before anything stops: Celery waits for the running job, so the job must learn that it is to stop."""
        worker.app.parent.drain()


class TakeWhenReady(bootsteps.StartStopStep):
    """Takes no message while the child loads its models or its bundle is broken: another worker may be ready for it.

    Celery asks `can_consume` before every read of its queues, and makes it anew for every connection.
    """

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """With every connection."""
        qos = consumer.task_consumer.channel.qos
        has_room, may_take = qos.can_consume, consumer.app.parent.may_take
        qos.can_consume = lambda: may_take() and has_room()


def create_app(
    settings: Settings, load_stages: LoadStages, look_further: Callable[[], list[Problem]] = list
) -> TroupeCelery:
    """A Celery app with all stages. Connects to nothing and loads nothing until a worker starts.

    look_further: what is looked at when it starts, beside the servers.
    """
    app = TroupeCelery("troupe", set_as_current=False)
    app.settings, app.load_stages = settings, load_stages
    broker.configure(app, settings)
    app.select_queues(broker.queue_names(settings, settings.role))
    app.parent = Supervisor(app, settings)
    child = Executor(settings, load_stages)
    add_tasks(app, child)
    app.steps["worker"].add(KeepQueue)
    app.steps["consumer"].add(TakeWhenReady)

    def stay_importable(**_: object) -> None:
        # The celery command has the working directory on the path only while it looks for the app, and a spawned child
        # gets the path as it is then: in a plain checkout it would not find this package.
        root = str(Path(__file__).resolve().parent.parent)
        if root not in sys.path:
            sys.path.append(root)

    exposition = MetricsEndpoint(settings)

    def open_exposition(**_: object) -> None:
        exposition.open(with_child=True)

    def look(**_: object) -> None:
        preflight(lambda: look_further() + check_servers(settings, BlobStore(settings)))

    def open_child(sender: str, **_: object) -> None:
        child.open(sender)

    def close_child(**_: object) -> None:
        child.attempts.close()

    def leave(**_: object) -> None:
        app.parent.stop()
        exposition.close()

    def executor_died(args: tuple[str, ...], exception: BaseException, **_: object) -> None:
        app.parent.executor_died(args[0], exception)

    log_as(f"worker-{settings.role}", settings)
    # The receivers live as long as the process, as the app does.
    signals.worker_init.connect(stay_importable, weak=False)
    signals.celeryd_init.connect(open_exposition, weak=False)
    signals.worker_init.connect(look, weak=False)
    signals.worker_process_init.connect(open_child, weak=False)
    signals.worker_process_shutdown.connect(close_child, weak=False)
    signals.worker_shutdown.connect(leave, weak=False)
    signals.task_failure.connect(executor_died, weak=False)
    return app


def load_stages(settings: Settings, role: Role) -> Loaded:
    """The real stages. torch is imported here, in the child, and never in the parent."""
    # Checkpoints are files of the bundle's folder. The model libraries read this once, when they are imported.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    from worker.runner.runner import load_stages as load  # noqa: PLC0415

    bring_home()
    return load(settings, role)


def check_checkpoints(settings: Settings) -> list[Problem]:
    """Which checkpoint of the role is not there. Nothing is loaded."""
    from worker.models.catalog import missing  # noqa: PLC0415 - Flower, which imports this module, has no models

    return [Problem(words=words, fatal=True) for words in missing(settings)]


def _look_again() -> None:
    """Celery's loop looks whether it may take messages after every callback."""


def __getattr__(name: str) -> Celery:
    """`app`, made when `celery -A worker.app` asks for it: importing this module reads no settings."""
    if name != "app":
        raise AttributeError(name)
    settings = Settings.read_or_exit()
    return create_app(settings, load_stages, lambda: check_checkpoints(settings))
