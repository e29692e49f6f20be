"""Celery in one place: task names, queues, priorities, and every delivery option with its reason.

A message carries only the id of a job; the job's record decides what happens (shared/store).
"""

from __future__ import annotations

from typing import Any

from celery import Celery, chain
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from shared.broker_transport import ADDRESS
from shared.host_memory import host_memory
from shared.settings import Role, Settings
from shared.stages import FIRST_STAGE, STAGES, Stage
from shared.store.queue.values import DispatchedJob, QueueDepth

# Plain strings: celery.signature breaks on an Enum.
TASK_OF: dict[Stage, str] = {stage: f"troupe.{stage.value}" for stage in STAGES}

DELIVER = "troupe.deliver"

# Redis keeps one list a priority and queue, and the lower number is popped first.
FIRST, LATER = 0, 9

# Arguments of `celery worker` that are no options of the configuration. Workers learn nothing from each other: the
# records in Redis are the truth, and asking around would only delay the start by a second.
WORKER_ARGS = ("--without-gossip", "--without-mingle")

# Share of the host's memory that one child may have taken when its stage ends; a larger one is replaced. It is a guard
# against leaks, not a limit: a stage in its prime may take more.
_MOST_MEMORY = 0.8


_RETRY_POLICY = {"max_retries": 3, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1.0}


def queue_names(settings: Settings, role: Role) -> list[str]:
    """Celery queues that a worker of this role serves."""
    return sorted({queue_name(settings, stage) for stage in STAGES if role in ("all", stage.info.queue)})


def queue_name(settings: Settings, stage: Stage) -> str:
    """Celery queue of a stage."""
    return f"{settings.key_prefix}.{stage.info.queue}"


def options(settings: Settings) -> dict[str, Any]:
    """Celery's configuration. A misspelled name is silently ignored by Celery, so a test knows every name here."""
    return {
        **_broker(settings),
        "broker_transport_options": transport_options(settings),
        # Redis may come up after us, and may go away for as long as it likes.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # The lease decides who runs a job again. Acknowledging late would run it twice whenever a connection blips.
        "task_acks_late": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # A message must wait where any free worker can take it, not behind the job of a busy one.
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        # Outcomes are in the records.
        "task_ignore_result": True,
        # One job at a time on a device, in a child: the parent survives whatever happens to the child and can say so.
        # CUDA does not survive a fork, so a child is a fresh interpreter that loads its models itself.
        # It is Celery's `prefork`; its module says what was mended.
        "worker_pool": "worker.queue.pool:Pool",
        # Its module says what was mended.
        "worker_consumer": "worker.queue.consumer:Consumer",
        "worker_concurrency": 1,
        "worker_pool_start_method": "spawn",
        # A child counts as up when its models are loaded; Celery would kill it after four seconds.
        "worker_proc_alive_timeout": 900.0,
        # How long the parent waits for a last word of a child that died. The record has it, if there is one.
        "worker_lost_wait": 0.5,
        # Never a number of tasks: reading the models again costs half a minute.
        **_memory_guard(),
        "task_queues": [
            Queue(name, Exchange(name, type="direct"), routing_key=name) for name in queue_names(settings, "all")
        ],
        "task_default_queue": queue_name(settings, FIRST_STAGE),
        # An undeclared queue is a mistake.
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        # The reaper sends unpublished messages again; the publisher must not hang.
        "task_publish_retry_policy": _RETRY_POLICY,
        # Flower sees the workers; the stages are in the logs and in the records.
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "enable_utc": True,
    }


def webhook_options(settings: Settings) -> dict[str, Any]:
    """Celery's configuration of a process that makes deliveries: as any other's, but for its queue and its pool."""
    name = webhook_queue_name(settings)
    return {
        **options(settings),
        # A delivery waits for somebody else's server and computes nothing: threads are many and cost little.
        "worker_pool": "threads",
        "worker_concurrency": settings.webhook_slots,
        "task_queues": [Queue(name, Exchange(name, type="direct"), routing_key=name)],
        "task_default_queue": name,
    }


def webhook_queue_name(settings: Settings) -> str:
    """Celery queue of the deliveries."""
    return f"{settings.key_prefix}.webhooks"


def notify_delivery(app: Celery, settings: Settings, delivery_id: str) -> None:
    """Publishes the message of one delivery. Raises kombu's OperationalError."""
    app.signature(DELIVER, args=(delivery_id,), immutable=True).apply_async(queue=webhook_queue_name(settings))


def _broker(settings: Settings) -> dict[str, Any]:
    """Where the broker is: through our transport if it is a Redis, for which kombu's address is for people only."""
    address = settings.broker_address
    if address is None:
        return {"broker_url": settings.broker_url}
    return {"broker_url": address.full_url, "broker_transport": "shared.broker_transport:Transport"}


def transport_options(settings: Settings) -> dict[str, Any]:
    """Options of the Redis transport."""
    return {
        ADDRESS: settings.broker_address,
        # Two installations may share one Redis.
        "global_keyprefix": f"{settings.key_prefix}:celery:",
        # Interactive messages before those of the batch lane, in every queue.
        "priority_steps": [FIRST, LATER],
        "queue_order_strategy": "priority",
        "health_check_interval": 10,
        # Messages that a dead worker had popped come back as duplicates after this; claim rejects them.
        "visibility_timeout": 3600,
        # Look for them every 10 s, not every 100.
        "unacked_restore_throttle": 1,
    }


def configure(app: Celery, settings: Settings) -> None:
    """Gives a Celery app all the options and both queues."""
    app.conf.update(options(settings))


def send_job(app: Celery, settings: Settings, dispatched: DispatchedJob) -> None:
    """Sends the chain of the job's stages from the one that is due. Raises kombu's OperationalError."""
    priority = FIRST if dispatched.has_priority else LATER
    signatures = [
        app.signature(
            TASK_OF[stage],
            args=(dispatched.job_id,),
            immutable=True,
            options={"queue": queue_name(settings, stage), "priority": priority},
        )
        for stage in dispatched.stage.and_later()
    ]
    chain(*signatures).apply_async()


def messages_waiting(app: Celery, settings: Settings) -> list[QueueDepth]:
    """How many messages wait in the queue of each stage. Raises kombu's OperationalError."""
    with app.connection_for_read() as connection:
        try:
            with connection.channel() as channel:
                count = {name: _count(channel, name) for name in queue_names(settings, "all")}
        except connection.connection_errors as error:
            raise OperationalError(str(error)) from error
    return [
        QueueDepth(stage=stage, queue=stage.info.queue, messages=count[queue_name(settings, stage)]) for stage in STAGES
    ]


def _count(channel: Any, name: str) -> int:
    # Not passive: to kombu 5.7 no queue exists when keys have a prefix, because it asks for the name without it.
    return int(channel.queue_declare(queue=name, durable=True, auto_delete=False).message_count)


def _memory_guard() -> dict[str, int]:
    """Celery's limit for a child in KiB, below the container's own; none where the kernel tells no memory."""
    memory = host_memory()
    return {} if memory is None else {"worker_max_memory_per_child": int(_MOST_MEMORY * memory.total / 1024)}
