from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from billiard import queues
from celery.concurrency import asynpool
from kombu.asynchronous import Hub

from worker.queue.pool import Answers

# What a child says first; the libraries' types know neither.
_UP: int = vars(asynpool)["WORKER_UP"]
_Pipe: Any = vars(queues)["_SimpleQueue"]


class Supervisor:
    """Celery's loop in a worker's parent, the pipe of one child, and what came through it."""

    def __init__(self) -> None:
        pipe = _Pipe(rnonblock=True)
        self.executor = SimpleNamespace(outq=pipe, _is_alive=lambda: True)
        self.fd: int = pipe._reader.fileno()
        self.heard: list[int] = []
        self.executors = {self.fd: self.executor}
        self._unanswered: dict[int, Any] = {0: "a task"}
        self._hub = Hub()
        self._answers = Answers(
            None,
            None,
            self._unanswered,
            None,
            lambda **_: None,
            None,
            None,
            None,
            None,
            fileno_to_outq=self.executors,
            on_process_alive=self._hear,
        )
        self.connect()

    def _hear(self, number: int) -> None:
        self.heard.append(number)
        self._unanswered.clear()

    def connect(self) -> None:
        """As Celery does whenever it has connected to its broker."""
        self._answers.register_with_event_loop(self._hub)
        self._hub.add_reader(self.fd, self._answers.handle_event, self.fd)

    def lose_connection(self) -> None:
        self._hub.reset()

    def look(self) -> None:
        """One turn of the loop."""
        next(self._hub.create_loop())

    def say(self, piece: bytes) -> None:
        """A piece of an answer arrives."""
        os.write(self.executor.outq._writer.fileno(), piece)

    def end(self) -> None:
        """As Celery does when the worker stops: hears what is still to come."""
        self._answers.on_stop_not_started()

    def close(self) -> None:
        self._hub.close()
        self.executor.outq.close()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.close()


def answer(number: int) -> bytes:
    words = pickle.dumps((_UP, (number,)))
    return struct.pack(">i", len(words)) + words


@pytest.mark.parametrize("at", [2, 4, 11])
def test_an_answer_that_began_before_the_connection_broke_is_heard_after_it(supervisor: Supervisor, at: int) -> None:
    supervisor.say(answer(7)[:at])
    supervisor.look()
    supervisor.lose_connection()
    supervisor.connect()
    supervisor.say(answer(7)[at:] + answer(8))
    supervisor.look()
    supervisor.look()
    assert supervisor.heard == [7, 8]


def test_an_answer_may_outlive_several_connections(supervisor: Supervisor) -> None:
    words = answer(7)
    for start in range(0, len(words), 6):
        supervisor.say(words[start : start + 6])
        supervisor.look()
        supervisor.lose_connection()
        supervisor.connect()
    assert supervisor.heard == [7]


def test_the_beginning_of_a_dead_childs_answer_is_not_taken_for_its_successors(supervisor: Supervisor) -> None:
    supervisor.say(answer(7)[:11])
    supervisor.look()
    supervisor.lose_connection()
    supervisor.executors[supervisor.fd] = SimpleNamespace(outq=supervisor.executor.outq)
    supervisor.connect()
    supervisor.say(answer(8))
    supervisor.look()
    assert supervisor.heard == [8]


def test_a_worker_that_stops_without_its_broker_hears_the_rest_of_an_answer(supervisor: Supervisor) -> None:
    supervisor.say(answer(7)[:11])
    supervisor.look()
    supervisor.lose_connection()
    supervisor.say(answer(7)[11:])
    supervisor.end()
    assert supervisor.heard == [7]
