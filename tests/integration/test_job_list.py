"""The caller's jobs, page by page."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from api.jobs.listing import cursor_of
from shared.store import keys
from tests.support.api_server import ApiServer
from tests.support.queue_records import Records


@pytest.fixture
def records(server: ApiServer) -> Iterator[Records]:
    """The records behind the API, without any job."""
    made = Records(settings=server.settings)
    made.redis.flushdb()
    yield made
    made.close()


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


def walk(client: httpx.Client, **query: object) -> list[str]:
    """The ids on all pages."""
    found: list[str] = []
    while True:
        answer = client.get("/v1/jobs", params=query)  # type: ignore[arg-type]
        found += ids(answer)
        query["cursor"] = answer.json()["next"]
        if query["cursor"] is None:
            return found


def test_nobody_has_no_jobs(records: Records, client: httpx.Client) -> None:
    assert client.get("/v1/jobs").json() == {"jobs": [], "next": None}


def test_the_newest_come_first_as_each_looks_by_itself(records: Records, client: httpx.Client) -> None:
    made = [records.submit(f"number {number}") for number in range(3)]
    answer = client.get("/v1/jobs")
    assert ids(answer) == made[::-1]
    assert answer.json()["next"] is None
    alone = client.get(f"/v1/jobs/{made[0]}").json()
    assert answer.json()["jobs"][-1] == {**alone, "queue": None}


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_pages_hold_every_job_once(records: Records, client: httpx.Client, limit: int) -> None:
    made = [records.submit() for _ in range(7)]
    assert walk(client, limit=limit) == made[::-1]


def test_jobs_that_come_meanwhile_move_no_page(records: Records, client: httpx.Client) -> None:
    made = [records.submit() for _ in range(4)]
    first = client.get("/v1/jobs?limit=2")
    records.submit()
    second = client.get("/v1/jobs", params={"limit": 2, "cursor": first.json()["next"]})
    assert ids(first) + ids(second) == made[::-1]


def test_a_page_goes_on_after_a_job_that_is_gone(records: Records, client: httpx.Client) -> None:
    made = [records.submit() for _ in range(4)]
    first = client.get("/v1/jobs?limit=2").json()
    records.redis.delete(keys.job_key(records.settings.key_prefix, made[2]))
    assert ids(client.get("/v1/jobs", params={"cursor": first["next"]})) == [made[1], made[0]]
    assert walk(client) == [made[3], made[1], made[0]]


def test_jobs_of_one_moment_stand_by_their_ids(records: Records, client: httpx.Client) -> None:
    made = [records.submit() for _ in range(5)]
    records.redis.zadd(f"{records.settings.key_prefix}:jobs:default", dict.fromkeys(made, 1795500000.25))
    assert walk(client, limit=2) == sorted(made, reverse=True)


def test_only_one_status_is_asked_for(records: Records, client: httpx.Client) -> None:
    done, canceled, queued = [records.submit() for _ in range(3)]
    records.cancel(canceled)
    records.finish(done)
    assert walk(client, status="queued") == [queued]
    assert walk(client, status="canceled") == [canceled]
    assert walk(client, status="succeeded") == [done]
    assert walk(client, status="expired") == []


def test_a_rare_status_is_found_behind_many_others(records: Records, client: httpx.Client) -> None:
    rare = records.submit()
    records.cancel(rare)
    for _ in range(120):
        records.submit()
    assert walk(client, status="canceled", limit=1) == [rare]


def test_nobody_sees_another_tenants_jobs(records: Records, client: httpx.Client) -> None:
    records.submit(tenant="another")
    assert walk(client) == []


def test_another_tenants_cursor_is_a_place_among_ones_own_jobs(records: Records, client: httpx.Client) -> None:
    own = records.submit()
    for _ in range(3):
        records.submit(tenant="another")
    mark = records.ask(lambda store: store.page(tenant="another", limit=1)).next
    assert mark is not None
    assert walk(client, cursor=cursor_of(mark)) == [own]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=done", "status"),
        ("status=", "status"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1e1", "limit"),
        ("limit=٣", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("cursor=", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=MTIzOmFiYw", "cursor"),
        ("cursor=%F0%9F%92%A9", "cursor"),
    ],
)
def test_an_invalid_parameter_is_named(client: httpx.Client, query: str, parameter: str) -> None:
    answer = client.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert answer.json()["errors"][0]["parameter"] == parameter


@example_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cursor=st.text(max_size=60))
def test_any_cursor_is_a_page_or_a_problem(client: httpx.Client, cursor: str) -> None:
    assert client.get("/v1/jobs", params={"cursor": cursor}).status_code in {200, 422}
