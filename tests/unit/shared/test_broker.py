from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celery.app.defaults import NAMESPACES, flatten
from kombu.transport.redis import Channel

from shared import broker
from shared.broker_transport import ADDRESS
from shared.settings import Role, Settings
from shared.stages import STAGES, Stage
from shared.store.queue.values import DispatchedJob
from worker.app import create_app
from worker.runner.assignment import Loaded

SETTINGS = Settings(broker_url="memory://")

# What the Redis transport reads from its options but does not take from a channel's attributes: kombu's, and ours.
CONNECTION_OPTIONS = {"health_check_interval"}


def no_stages(settings: Settings, role: Role) -> Loaded:
    return Loaded(stages={})


def known_options() -> set[str]:
    options: Any = flatten(NAMESPACES)
    return {name for name, _ in options}


def test_celery_knows_the_name_of_every_option() -> None:
    assert set(broker.options(SETTINGS)) <= known_options()


def test_a_misspelled_option_would_be_found() -> None:
    assert "worker_disable_prefetching" not in known_options()


def test_kombu_knows_the_name_of_every_transport_option() -> None:
    known = {*Channel.from_transport_options, *CONNECTION_OPTIONS, ADDRESS}
    assert set(broker.transport_options(SETTINGS)) <= known
    assert all(hasattr(Channel, name) for name in CONNECTION_OPTIONS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", False),
        ("worker_disable_prefetch", True),
        ("task_ignore_result", True),
        ("worker_pool", "worker.queue.pool:Pool"),
        ("worker_concurrency", 1),
        ("worker_pool_start_method", "spawn"),
        ("task_create_missing_queues", False),
        ("worker_cancel_long_running_tasks_on_connection_loss", False),
    ],
)
def test_delivery_is_as_the_lease_needs_it(name: str, value: object) -> None:
    assert broker.options(SETTINGS)[name] == value


def test_an_executor_is_replaced_for_its_memory_and_never_for_the_number_of_its_tasks() -> None:
    options = broker.options(SETTINGS)
    assert "worker_max_tasks_per_child" not in options
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert 0 < options["worker_max_memory_per_child"] < int(memory.split()[1])


def test_a_host_that_has_gone_is_noticed() -> None:
    found = broker.transport_options(SETTINGS)
    assert all(found[name] for name in CONNECTION_OPTIONS)


def test_the_names_of_tasks_are_plain_strings() -> None:
    assert {type(name) for name in broker.TASK_OF.values()} == {str}
    assert list(broker.TASK_OF) == list(STAGES)


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("detection", ["troupe.detection"]),
        ("generation", ["troupe.generation"]),
        ("all", ["troupe.detection", "troupe.generation"]),
    ],
)
def test_a_role_serves_its_queues(role: Role, names: list[str]) -> None:
    assert broker.queue_names(SETTINGS, role) == names
    app = create_app(SETTINGS.model_copy(update={"role": role}), no_stages)
    assert sorted(app.amqp.queues.consume_from) == names


def test_installations_with_different_prefixes_share_nothing() -> None:
    mine, theirs = SETTINGS, SETTINGS.model_copy(update={"key_prefix": "other"})
    assert not set(broker.queue_names(mine, "all")) & set(broker.queue_names(theirs, "all"))
    prefixes = {broker.transport_options(settings)["global_keyprefix"] for settings in (mine, theirs)}
    assert len(prefixes) == 2


@pytest.mark.parametrize("due", STAGES)
@pytest.mark.parametrize("first", [True, False])
def test_a_job_is_sent_as_one_message_with_its_id_and_the_stages_that_follow(due: Stage, *, first: bool) -> None:
    settings = SETTINGS.model_copy(update={"key_prefix": f"send-{due.value}-{first}"})
    app = create_app(settings, no_stages)
    with app.connection_for_write() as connection:
        queue: Any = connection.SimpleQueue(broker.queue_name(settings, due))
        broker.send_job(app, settings, DispatchedJob(job_id="a job", stage=due, has_priority=first))
        message: Any = queue.get(block=False)
        assert queue.qsize() == 0
        queue.close()
    args, kwargs, embedded = message.payload
    rest = [task["task"] for task in reversed(embedded["chain"] or [])]
    assert message.headers["task"] == broker.TASK_OF[due]
    assert (args, kwargs) == (["a job"], {})
    assert rest == [broker.TASK_OF[stage] for stage in STAGES[STAGES.index(due) + 1 :]]
    wanted = broker.FIRST if first else broker.LATER
    assert message.properties["priority"] == wanted
    assert {task["options"]["priority"] for task in embedded["chain"] or []} <= {wanted}


def test_interactive_messages_are_taken_before_those_of_the_batch_lane() -> None:
    assert broker.transport_options(SETTINGS)["priority_steps"] == [broker.FIRST, broker.LATER]
    assert broker.FIRST < broker.LATER
