"""How often a tenant may ask, and how much it may have drawn in a day."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx
import pytest

from api.auth.key_table import KeyTable
from api.auth.middleware import rate_limit_headers
from shared.errors import QuotaExceeded, RateLimited
from shared.job import JobSpec
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import connect
from shared.store.jobs import record
from shared.store.tenants.charge import Charge, LimitState
from shared.store.tenants.limits import Tenants
from shared.tenant import TenantLimits
from tests.support.api_server import ApiServer, png_bytes
from tests.support.queue_records import Records, spec_of

PATIENCE_S = 10.0
DAY_S = 86_400


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"auth": True, "reads_per_s": 20}


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    found = Records(settings=settings)
    yield found
    found.close()


class Caller(httpx.Client):
    """A tenant of its own, with a photo, and its limits."""

    def __init__(self, server: ApiServer, **limits: object) -> None:
        self.server, self.tenant = server, f"t{uuid.uuid4().hex[:8]}"
        with connect(server.settings) as redis:
            key = KeyTable(redis, server.settings).create(self.tenant)
        super().__init__(base_url=server.url, timeout=30.0, headers={"Authorization": f"Bearer {key}"})
        self.limits = TenantLimits.model_validate(limits)

    def __enter__(self) -> Self:
        super().__enter__()
        self.photo = self.upload().json()["id"]
        with connect(self.server.settings) as redis:
            Tenants(redis, self.server.settings).limit(self.tenant, self.limits)
        return self

    def upload(self) -> httpx.Response:
        return self.post("/v1/photos", content=png_bytes(), headers={"Content-Type": "image/png"})

    def asked(self, steps: int = 20) -> dict[str, Any]:
        people = [{"phrase": "the man", "photos": [self.photo]}]
        return {"prompt": "a man", "concepts": people, "sampling": {"steps": steps}}

    def submit(self, steps: int = 20) -> httpx.Response:
        return self.post("/v1/jobs", json=self.asked(steps))

    def units(self, steps: int = 20) -> float:
        """Units of a job as `submit` asks for it."""
        small = {"steps": steps, "width_px": 128, "height_px": 128}
        return record.units(JobSpec.model_validate(self.asked() | {"sampling": small}))


def left(answer: httpx.Response, name: str) -> int:
    found = re.search(rf'"{name}";r=(\d+);t=\d+', answer.headers["ratelimit"])
    assert found is not None, answer.headers
    return int(found[1])


def refused(answer: httpx.Response, code: str) -> int:
    """Seconds until it may be tried again."""
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (429, code, True)
    assert answer.headers["content-type"] == "application/problem+json"
    return int(answer.headers["retry-after"])


def test_a_tenant_may_ask_so_often_and_no_more(server: ApiServer) -> None:
    with Caller(server, rate=5, rate_window_s=3600) as caller:
        answers = [caller.submit() for _ in range(5)]
        assert [answer.status_code for answer in answers] == [202] * 5
        assert [left(answer, "requests") for answer in answers] == [4, 3, 2, 1, 0]
        assert answers[0].headers["ratelimit-policy"] == '"requests";q=5;w=3600'
        over = caller.submit()
        assert 600 < refused(over, "rate_limited") <= 720
        assert left(over, "requests") == 0
        # Reads have their own limit.
        job = answers[0].json()
        reads = [caller.get(f"/v1/jobs/{job['id']}") for _ in range(10)]
        assert {read.status_code for read in reads} == {200}
        assert reads[0].headers["ratelimit-policy"] == '"reads";q=200;w=10'
        assert left(reads[9], "reads") < left(reads[0], "reads")
    with Caller(server) as other:
        assert other.submit().status_code == 202


def test_a_tenant_may_look_often_and_not_without_end(server: ApiServer) -> None:
    with Caller(server) as caller, Caller(server) as other:
        deadline = time.monotonic() + PATIENCE_S
        while (answer := caller.get("/v1/queue")).status_code == 200:
            assert time.monotonic() < deadline
        assert 1 <= refused(answer, "rate_limited") <= 10
        assert left(answer, "reads") == 0
        # Neither who makes something, nor somebody else, nor a check whether the server is alive.
        assert caller.submit().status_code == 202
        assert other.get("/v1/queue").status_code == 200
        assert caller.get("/healthz").status_code == 200


def test_after_the_named_wait_the_next_request_passes(server: ApiServer) -> None:
    with Caller(server, rate=2, rate_window_s=1) as caller:
        deadline = time.monotonic() + PATIENCE_S
        while (answer := caller.submit()).status_code != 429:
            assert time.monotonic() < deadline
        assert refused(answer, "rate_limited") == 1
        while caller.submit().status_code != 202:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("way", ["photo", "form", "cancel", "nowhere"])
def test_everything_that_makes_or_changes_something_counts(server: ApiServer, way: str) -> None:
    with Caller(server, rate=3, rate_window_s=3600) as caller:
        assert left(caller.submit(), "requests") == 2
        match way:
            case "photo":
                answer = caller.upload()
            case "form":
                form = {"prompt": "a man", "phrase": "the man"}
                answer = caller.post("/v1/jobs", data=form, files={"photo": ("me.png", png_bytes())})
                assert answer.status_code == 202
            case "cancel":
                answer = caller.post(f"/v1/jobs/{uuid.uuid4().hex}/cancel")
            case _:
                answer = caller.delete("/nowhere")
        assert left(answer, "requests") == 1


def test_a_refused_form_is_not_even_read(server: ApiServer) -> None:
    with Caller(server, rate=1, rate_window_s=3600) as caller:
        caller.submit()
        form = {"prompt": "a man", "phrase": "the man"}
        refused(caller.post("/v1/jobs", data=form, files={"photo": ("me.png", b"no picture")}), "rate_limited")


def test_a_form_that_also_says_it_is_json_is_refused_unread_as_well(server: ApiServer) -> None:
    with Caller(server, rate=1, rate_window_s=3600) as caller:
        caller.submit()
        form = httpx.Request("POST", "http://x", data={"prompt": "a man"}, files={"photo": ("me.png", b"no picture")})
        types = [("Content-Type", form.headers["content-type"]), ("Content-Type", "application/json")]
        refused(caller.post("/v1/jobs", content=form.read(), headers=types), "rate_limited")


def test_a_day_has_so_many_units_and_what_is_refused_costs_none(server: ApiServer) -> None:
    with Caller(server, daily_units=5) as caller:
        one = caller.units()
        first = caller.submit()
        assert left(first, "units") == int(5 - one)
        assert first.headers["ratelimit-policy"] == f'"units";q=5;w={DAY_S};qu="units"'
        # Too large for what is left: refused whole, so the small one still passes.
        assert caller.units(150) + one > 5 > caller.units(150)
        assert 0 < refused(caller.submit(150), "quota_exceeded") <= DAY_S
        wrong = caller.post("/v1/jobs", json={**caller.asked(), "concepts": []})
        assert wrong.status_code == 422
        unknown = caller.asked()
        unknown["concepts"][0]["photos"] = ["0" * 64]
        assert caller.post("/v1/jobs", json=unknown).status_code == 422
        assert left(caller.submit(), "units") == int(5 - 2 * one)


def test_a_request_that_is_done_once_is_counted_once(server: ApiServer) -> None:
    with Caller(server, rate=10, rate_window_s=3600, daily_units=100) as caller:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answers = [caller.post("/v1/jobs", json=caller.asked(), headers=headers) for _ in range(3)]
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert left(caller.submit(), "requests") == 8
        assert left(caller.submit(), "units") == int(100 - 3 * caller.units())


def test_limits_hold_where_no_keys_are_asked_for(records: Records) -> None:
    records.limit("default", rate=1, rate_window_s=3600)
    records.ask(lambda store: store.submit(uuid.uuid4().hex, spec_of("a beach"), charge=Charge()))
    with pytest.raises(RateLimited):
        records.ask(lambda store: store.submit(uuid.uuid4().hex, spec_of("a beach"), charge=Charge()))


def test_a_refused_job_leaves_nothing_behind(records: Records) -> None:
    records.limit("someone", daily_units=1)
    passing = f"{records.settings.key_prefix}:largest"
    before = set(records.redis.scan_iter(f"{records.settings.key_prefix}:*")) - {passing}
    job_id = uuid.uuid4().hex
    with pytest.raises(QuotaExceeded) as caught:
        records.ask(lambda store: store.submit(job_id, spec_of("a beach"), tenant="someone", charge=Charge()))
    assert 0 < caught.value.retry_after_s <= DAY_S
    assert set(records.redis.scan_iter(f"{records.settings.key_prefix}:*")) - {passing} == before


def test_a_quota_is_for_many_units_at_once_or_none(records: Records) -> None:
    records.limit("someone", daily_units=100)
    charge = Charge(requests=0)
    records.ask(lambda store: store.admit("someone", charge, units=60))
    with pytest.raises(QuotaExceeded):
        records.ask(lambda store: store.admit("someone", charge, units=41))
    records.ask(lambda store: store.admit("someone", charge, units=40))
    assert [one.left for one in charge.allowances] == [0]


def test_the_next_day_starts_with_a_full_quota(records: Records) -> None:
    records.limit("someone", daily_units=100)
    charge = Charge(requests=0)
    records.ask(lambda store: store.admit("someone", charge, units=100))
    (spent,) = records.redis.scan_iter(f"{records.settings.key_prefix}:spent:someone:*")
    day = int(str(spent).rsplit(":", 1)[1])
    # What was spent, was spent yesterday.
    records.redis.rename(spent, f"{records.settings.key_prefix}:spent:someone:{day - 1}")
    records.ask(lambda store: store.admit("someone", charge, units=100))


def test_counting_leaves_nothing_that_stays(records: Records) -> None:
    records.limit("someone", daily_units=100, rate=10)
    records.ask(lambda store: store.admit("someone", Charge(), units=10))
    prefix = records.settings.key_prefix
    made = [key for key in records.redis.scan_iter(f"{prefix}:*") if key != keys.tenant_key(prefix, "someone")]
    assert len(made) == 2
    assert all(0 < int(records.redis.ttl(key)) <= DAY_S + 3600 for key in made)


def test_the_headers_are_as_the_draft_has_them() -> None:
    allowances = (
        LimitState(name="requests", quota=60, window_s=60, left=59, reset_s=1),
        LimitState(name="units", quota=5000, window_s=DAY_S, left=4711, reset_s=3600),
    )
    assert rate_limit_headers(allowances) == {
        "RateLimit-Policy": '"requests";q=60;w=60, "units";q=5000;w=86400;qu="units"',
        "RateLimit": '"requests";r=59;t=1, "units";r=4711;t=3600',
    }
