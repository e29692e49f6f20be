"""What is erased is gone: every key of Redis and of S3 is looked at, before and after."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import httpx
import pytest

from api.context import Context, open_context
from api.erasure import Eraser
from api.photos.intake import PhotoSource, accept_photo
from shared.blob_store import Blob, BlobStore, photo_key, stage_key
from shared.errors import BlobsUnavailable
from shared.job import JobSpec
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.connection import connect
from shared.store.jobs.erasure import Erasing
from shared.store.jobs.finished import FinishedStage
from shared.store.jobs.leases import JobStore
from shared.store.owner import BucketOwner
from tests.support.api_server import ApiServer, png_bytes
from tests.support.queue_records import Records

T = TypeVar("T")
_PATIENCE_S = 30.0
# What may stay: it is of nobody, or goes by itself and holds no more than a name.
HARMLESS = {
    "events",
    "notify",
    "schedule",
    "load",
    "speed",
    "virtual_time",
    "lock",
    "erased",
    "throughput",
    "outcome",
    "largest",
    "counts",
    "fleet",
    # Who did what, as ids: test_audit looks inside.
    "audit",
    "recent",
}


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"sweep_every_s": 0.2}


@dataclass
class House(Records):
    """The records, the blobs, and a worker's hand that leaves real blobs."""

    def blobs(self) -> BlobStore:
        return BlobStore(self.settings)

    def everything(self) -> set[str]:
        """Names of all there is, but for what may stay."""
        prefix = f"{self.settings.key_prefix}:"
        names = {str(name).removeprefix(prefix) for name in self.redis.scan_iter(f"{prefix}*")}
        blobs = {blob.key for blob in self.blobs().listed("")}
        return {name for name in names if name.split(":")[0] not in HARMLESS} | blobs

    def work(self, job_id: str, *, until: Stage = STAGES[-1], digests: str = "", tenant: str = "default") -> None:
        """Takes the job through its stages; every result lies under a digest of its own, or of this name."""
        self.queue_store.dispatch("test", 100)
        for stage in STAGES[: STAGES.index(until) + 1]:
            claim = self.claim(job_id, stage)
            digest = f"{digests or uuid.uuid4().hex}{stage.value}"
            key = stage_key(tenant, stage, digest, "output.json")
            self.blobs().put(key, b"{}", "application/json")
            picture = key if stage is STAGES[-1] else None
            self.jobs.finish(
                job_id, claim.attempt, FinishedStage(stage=stage, digest=digest, seconds=0.5, picture=picture)
            )

    def erasing(self, act: Callable[[Eraser], Awaitable[T]]) -> T:
        """Acts as the API's sweeper does."""
        return self.acting(lambda context: act(context.eraser))

    def acting(self, act: Callable[[Context], Awaitable[T]]) -> T:
        """Acts as the API does."""

        async def scene() -> T:
            async with open_context(self.settings) as context:
                return await act(context)

        return asyncio.run(scene())


@pytest.fixture
def house(server: ApiServer) -> Iterator[House]:
    made = House(settings=server.settings)
    yield made
    made.close()


@pytest.fixture
def still(settings: Settings) -> Iterator[House]:
    """Records and a bucket in which nothing goes by itself."""
    made = House(settings=settings)
    made.blobs().ensure_bucket()
    # As every process does when it starts.
    BucketOwner(made.redis, settings, made.blobs()).look()
    yield made
    made.close()


def upload(client: httpx.Client, colour: str) -> str:
    photo_id: str = client.post("/v1/photos", files={"photo": png_bytes(colour=colour)}).json()["id"]
    return photo_id


def submit(client: httpx.Client, photo: str, **changes: Any) -> str:
    job = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo]}]}
    answer = client.post("/v1/jobs", json=job | changes)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def until_gone(client: httpx.Client, job_id: str) -> None:
    client.get(f"/v1/jobs/{job_id}?wait=1")
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        if client.get(f"/v1/jobs/{job_id}?wait=0.1", headers={"If-None-Match": "*"}).status_code == 404:
            return
    pytest.fail("the job is still there")


def until(true: Callable[[], bool]) -> None:
    deadline_s, pause = time.monotonic() + _PATIENCE_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline_s, "it did not become true in time"
        pause.wait(0.2)


def test_a_job_that_is_over_goes_with_all_it_left(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    before = house.everything()
    job_id = submit(client, photo)
    house.work(job_id)
    assert len(house.everything() - before) > 4
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert house.everything() == before
    assert client.get(f"/v1/jobs/{job_id}").status_code == 404
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 404
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_a_job_that_waits_goes_at_once(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    before = house.everything()
    assert client.delete(f"/v1/jobs/{submit(client, photo)}").status_code == 204
    assert house.everything() == before


def test_a_result_of_several_jobs_goes_with_the_last(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    before = house.everything()
    first, second = submit(client, photo), submit(client, photo)
    for job_id in (first, second):
        house.work(job_id, digests="shared")
    blobs = {name for name in house.everything() if name.startswith("default/stages/")}
    client.delete(f"/v1/jobs/{first}")
    assert blobs <= house.everything()
    client.delete(f"/v1/jobs/{second}")
    assert house.everything() == before


def test_a_job_that_runs_is_canceled_and_goes_when_it_stops(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    before = house.everything()
    job_id = submit(client, photo)
    house.work(job_id, until=Stage.RENDER)
    claim = house.claim(job_id, Stage.DETECT)
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 202
    assert house.jobs.renew(job_id, claim.attempt, worker="worker") == "canceled"
    house.jobs.end_canceled(job_id, claim.attempt)
    until_gone(client, job_id)
    assert house.everything() == before


def test_what_the_last_stage_made_before_it_heard_goes_too(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    before = house.everything()
    job_id = submit(client, photo)
    house.queue_store.dispatch("test", 100)
    claim = house.claim(job_id)
    house.blobs().put(stage_key("default", Stage.IDENTIFY, "late", "output.json"), b"{}", "application/json")
    client.delete(f"/v1/jobs/{job_id}")
    assert (
        house.jobs.finish(job_id, claim.attempt, FinishedStage(stage=Stage.IDENTIFY, digest="late", seconds=1))
        == "canceled"
    )
    until_gone(client, job_id)
    assert house.everything() == before


def test_what_a_worker_writes_after_its_job_is_gone_is_found(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    before = house.everything()
    job_id = submit(client, photo)
    house.queue_store.dispatch("test", 100)
    claim = house.claim(job_id)
    client.delete(f"/v1/jobs/{job_id}")
    house.jobs.end_canceled(job_id, claim.attempt)
    until_gone(client, job_id)
    house.blobs().put(stage_key("default", Stage.IDENTIFY, "zombie", "output.json"), b"{}", "application/json")
    assert (
        house.jobs.finish(job_id, claim.attempt, FinishedStage(stage=Stage.IDENTIFY, digest="zombie", seconds=1))
        == "lost"
    )
    assert house.erasing(lambda eraser: eraser.collect(older_than_s=600)) == 0
    assert house.erasing(lambda eraser: eraser.collect(older_than_s=-5)) == 1
    assert house.everything() == before


def test_a_result_that_is_erased_just_now_is_not_finished_with(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    first, second = submit(client, photo), submit(client, photo)
    house.work(first, digests="twin", until=Stage.IDENTIFY)
    claim = house.claim(second)
    # The second has found the first one's result stored; now the first goes with it.
    house.cancel(first)
    client.delete(f"/v1/jobs/{first}")
    assert (
        house.jobs.finish(second, claim.attempt, FinishedStage(stage=Stage.IDENTIFY, digest="twinidentify", seconds=0))
        == "lost"
    )
    # It goes on in a while, not at once: as long as the mark lives, it would only find out the same again.
    assert (house.jobs.get(second).status, house.where(second)) == ("queued", ["delayed"])
    client.delete(f"/v1/jobs/{second}")


def test_a_photo_goes_with_its_faces_and_stays_gone(house: House, client: httpx.Client) -> None:
    before = house.everything()
    photo = upload(client, "plum")
    with_photo = house.everything()
    done, runs, waits = [submit(client, photo) for _ in range(3)]
    house.work(done)
    house.queue_store.dispatch("test", 100)
    claim = house.claim(runs)
    house.blobs().put(stage_key("default", Stage.IDENTIFY, "tardy", "output.json"), b"{}", "application/json")
    assert client.delete(f"/v1/photos/{photo}").status_code == 204
    assert client.delete(f"/v1/photos/{photo}").status_code == 404
    assert not [
        key for key in house.everything() if "identify/" in key and "references" not in key and "tardy" not in key
    ]
    assert photo_key("default", photo) not in house.everything()
    # The embedding that came too late goes with the next sweep, and its job fails.
    assert (
        house.jobs.finish(runs, claim.attempt, FinishedStage(stage=Stage.IDENTIFY, digest="tardy", seconds=1))
        == "failed"
    )
    house.erasing(lambda eraser: eraser.sweep())
    assert not [blob.key for blob in house.blobs().listed("default/stages/identify/")]
    error = client.get(f"/v1/jobs/{runs}").json()["error"]
    assert (error["code"], error["stage"]) == ("unknown_photo", "identify")
    again = client.post("/v1/jobs", json={"prompt": "a", "concepts": [{"phrase": "b", "photos": [photo]}]})
    assert again.json()["code"] == "unknown_photo"
    for job_id in (done, runs, waits):
        client.delete(f"/v1/jobs/{job_id}")
    assert house.everything() == before
    assert (upload(client, "plum"), house.everything()) == (photo, with_photo)
    client.delete(f"/v1/photos/{photo}")


class Away(BlobStore):
    """Does not answer."""

    def erase(self, prefix: str) -> int:
        raise BlobsUnavailable(prefix)


async def kept(context: Context, colour: str = "teal") -> str:
    """Keeps a photo of this colour; gives its id."""
    return (await accept_photo(context, "default", png_bytes(colour=colour), PhotoSource(by="")))[0]


async def fail_to_erase(context: Context, photo: str) -> None:
    with pytest.raises(BlobsUnavailable):
        await replace(context.eraser, blobs=Away(context.settings)).erase_photo(photo, "default")


def test_erasing_a_photo_may_be_asked_again_after_an_outage(still: House) -> None:
    async def scene(context: Context) -> list[Erasing]:
        photo = await kept(context)
        await fail_to_erase(context, photo)
        return [await context.eraser.erase_photo(photo, "default") for _ in range(2)]

    assert still.acting(scene) == [Erasing.OVER, Erasing.NONE]
    assert still.everything() == set()


def test_a_photo_that_was_to_go_goes_by_itself_after_an_outage(still: House) -> None:
    async def scene(context: Context) -> None:
        await fail_to_erase(context, await kept(context))
        await context.eraser.sweep()

    still.acting(scene)
    assert still.everything() == set()


def test_a_photo_goes_although_nobody_heard_that_its_record_went(still: House) -> None:
    async def scene(context: Context) -> Erasing:
        photo = await kept(context)
        assert await context.eraser.records.drop_photo("default", photo)
        return await context.eraser.erase_photo(photo, "default")

    assert still.acting(scene) is Erasing.OVER
    assert still.everything() == set()


def test_a_photo_that_was_to_go_and_is_uploaded_again_stays(still: House) -> None:
    async def scene(context: Context) -> str:
        await fail_to_erase(context, await kept(context))
        photo = await kept(context)
        await context.eraser.sweep()
        return photo

    photo = still.acting(scene)
    assert still.everything() == {photo_key("default", photo), f"photo:default:{photo}"}


def test_a_photo_that_is_uploaded_while_its_bytes_go_stays(still: House) -> None:
    async def scene(context: Context) -> None:
        photo = await kept(context)
        loop = asyncio.get_running_loop()
        uploads: list[Future[str]] = []

        class Slow(BlobStore):
            def erase(self, prefix: str) -> int:
                first = super().erase(prefix)
                if prefix == photo_key("default", photo):
                    uploads.append(asyncio.run_coroutine_threadsafe(kept(context), loop))
                    until(lambda: self.exists(prefix))
                    # What S3 was asked for before is done after the photo came again.
                    return first + super().erase(prefix)
                return first

        await replace(context.eraser, blobs=Slow(context.settings)).erase_photo(photo, "default")
        assert await asyncio.wrap_future(uploads[0]) == photo
        assert context.blobs.exists(photo_key("default", photo))
        assert await context.jobs.unknown_photos("default", [photo]) == set()

    still.acting(scene)


def test_a_photo_in_thousands_of_casts_goes_at_once_and_its_faces_by_themselves(
    house: House, client: httpx.Client
) -> None:
    before = house.everything()
    photo = upload(client, "khaki")
    digests = [uuid.uuid4().hex for _ in range(9000)]
    house.redis.sadd(f"{house.settings.key_prefix}:faces:default:{photo}", *digests)
    for digest in digests[:300:60]:
        house.blobs().put(stage_key("default", Stage.IDENTIFY, digest, "output.json"), b"{}", "application/json")
    assert client.delete(f"/v1/photos/{photo}").status_code == 202
    assert photo_key("default", photo) not in house.everything()
    assert client.get(f"/v1/photos/{photo}").status_code == 404
    # Thousands more of the same would show nothing new, in a minute.
    house.redis.srem(f"{house.settings.key_prefix}:pending_faces:default:{photo}", *digests[300:])
    until(lambda: house.everything() == before)
    assert client.delete(f"/v1/photos/{photo}").status_code == 404


def test_faces_that_a_job_found_since_the_photo_came_again_stay(still: House) -> None:
    names = {name: stage_key("default", Stage.IDENTIFY, name, "output.json") for name in ("old", "found")}
    for key in names.values():
        still.blobs().put(key, b"{}", "application/json")
    faces = f"{still.settings.key_prefix}:faces:default:{'a' * 64}"
    still.redis.sadd(faces, *names)

    async def scene(eraser: Eraser) -> None:
        assert await eraser.records.drop_photo("default", "a" * 64)
        still.redis.set(f"{still.settings.key_prefix}:photo:default:{'a' * 64}", 1)
        still.redis.sadd(faces, "found")
        await eraser.sweep()

    still.erasing(scene)
    assert [blob.key for blob in still.blobs().listed("")] == [names["found"]]
    assert still.redis.smembers(faces) == {"found"}


def test_all_of_a_tenant_goes_and_nothing_of_another(house: House, client: httpx.Client) -> None:
    client.delete("/v1/tenant?confirm=default")
    other = uuid.uuid4().hex
    spec = JobSpec.model_validate({"prompt": "a", "concepts": [{"phrase": "b", "photos": ["0" * 64]}]})
    house.ask(lambda store: store.submit(other, spec, tenant="another"))
    house.work(other, tenant="another")
    of_another = house.everything()
    photo = upload(client, "gold")
    webhook = client.post("/v1/webhooks", json={"url": "https://example.com/told"})
    assert webhook.status_code == 201, webhook.text
    lines = [{"custom_id": str(i), "prompt": "b", "concepts": [{"phrase": "c", "photos": [photo]}]} for i in range(3)]
    text = "\n".join(json.dumps(line) for line in lines)
    batch = client.post("/v1/batches", content=text, headers={"Content-Type": "application/jsonl"})
    assert batch.status_code == 202, batch.text
    done, runs = submit(client, photo), submit(client, photo)
    submit(client, photo)
    client.post(f"/v1/jobs/{done}/cancel", headers={"Idempotency-Key": "one"})
    house.queue_store.dispatch("test", 1)
    claim = house.claim(runs)
    for wrong in ("", "?confirm=", "?confirm=another"):
        answer = client.delete(f"/v1/tenant{wrong}")
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "confirm")
    assert client.delete("/v1/tenant?confirm=default").status_code == 202
    house.jobs.end_canceled(runs, claim.attempt)
    until_gone(client, runs)
    assert client.delete("/v1/tenant?confirm=default").status_code == 204
    assert house.everything() == of_another
    assert client.get(f"/v1/batches/{batch.json()['id']}").status_code == 404
    house.ask(lambda store: store.cancel(other, tenant="another"))


def test_a_job_goes_by_itself_when_its_time_is_over(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    before = house.everything()
    job_id = submit(client, photo, retention_s=0)
    house.work(job_id)
    until_gone(client, job_id)
    assert house.everything() == before


def test_a_job_is_never_kept_longer_than_the_server_keeps_all(house: House, client: httpx.Client) -> None:
    job_id = submit(client, upload(client, "red"), retention_s=10**8)
    house.cancel(job_id)
    left = house.redis.zscore(f"{house.settings.key_prefix}:kept", job_id)
    ended = house.jobs.get(job_id).finished_at
    assert left == pytest.approx((ended or 0) + house.settings.job_expiry_s, abs=1)
    client.delete(f"/v1/jobs/{job_id}")


def test_an_eraser_that_died_is_followed_by_the_next(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    before = house.everything()
    job_id = submit(client, photo)
    house.work(job_id)

    class Dies(BlobStore):
        def erase(self, prefix: str) -> int:
            if "detect" in prefix:
                raise KeyboardInterrupt
            return super().erase(prefix)

    async def die(eraser: Eraser) -> None:
        dying = replace(eraser, blobs=Dies(eraser.settings))
        await dying.erase_job(job_id, "default")

    with pytest.raises(KeyboardInterrupt):
        house.erasing(die)
    until_gone(client, job_id)
    assert house.everything() == before


def test_an_expired_photo_goes_from_the_bucket(house: House, client: httpx.Client) -> None:
    before = house.everything()
    photo = upload(client, "lime")
    house.redis.delete(f"{house.settings.key_prefix}:photo:default:{photo}")
    assert house.erasing(lambda eraser: eraser.collect(older_than_s=-5)) == 1
    assert house.everything() == before


@dataclass(frozen=True, kw_only=True)
class Page:
    """Lone results as a bucket would list them, and how far the list was read when each was erased."""

    results: int
    read: list[str]
    read_at_erasing: list[int]

    def listed(self, prefix: str) -> Iterator[Blob]:
        for number in range(self.results):
            key = stage_key("default", Stage.IDENTIFY, f"{number:08}", "output.json")
            self.read.append(key)
            yield Blob(key=key, written_at=1)

    def erase(self, prefix: str) -> int:
        self.read_at_erasing.append(len(self.read))
        return 1

    def delete(self, names: Sequence[str]) -> None:
        assert not names


def test_what_nobody_has_goes_before_the_whole_bucket_is_listed(still: House) -> None:
    page = Page(results=2500, read=[], read_at_erasing=[])
    eraser = cast("BlobStore", page)
    count = still.erasing(lambda real: replace(real, blobs=eraser).collect(older_than_s=0))
    assert count == len(page.read_at_erasing) == page.results
    # The first of the next result says that the one before it is whole.
    assert page.read_at_erasing[0] <= 1001
    assert page.read_at_erasing[-1] == page.results


@dataclass(kw_only=True)
class Hooked:
    """Does something as soon as the first thing has been erased."""

    then: Callable[[], object]
    count: int = 0

    def store(self, settings: Settings) -> BlobStore:
        hooked = self

        class Store(BlobStore):
            def erase(self, prefix: str) -> int:
                erased = super().erase(prefix)
                hooked.count += 1
                if hooked.count == 1:
                    hooked.then()
                return erased

        return Store(settings)


def test_an_expired_photo_that_is_uploaded_again_while_others_go_stays(still: House) -> None:
    async def scene(context: Context) -> str:
        colours = {await kept(context, colour): colour for colour in ("red", "blue")}
        last = max(colours)
        for photo in colours:
            still.redis.delete(f"{still.settings.key_prefix}:photo:default:{photo}")
        loop = asyncio.get_running_loop()
        upload = Hooked(
            then=lambda: asyncio.run_coroutine_threadsafe(kept(context, colours[last]), loop).result(_PATIENCE_S)
        )
        eraser = replace(context.eraser, blobs=upload.store(context.settings))
        assert await eraser.collect(older_than_s=-5) == 1
        return last

    photo = still.acting(scene)
    assert still.everything() == {photo_key("default", photo), f"photo:default:{photo}"}


def test_a_result_that_a_job_finds_while_others_go_stays_and_one_that_goes_is_marked(still: House) -> None:
    for name in ("first", "last"):
        still.blobs().put(stage_key("default", Stage.DETECT, name, "output.json"), b"{}", "application/json")
    prefix = still.settings.key_prefix
    find = Hooked(then=lambda: still.redis.sadd(f"{prefix}:references:default/detect/last", "job"))

    async def collect(eraser: Eraser) -> int:
        return await replace(eraser, blobs=find.store(eraser.settings)).collect(older_than_s=-5)

    assert still.erasing(collect) == 1
    assert [blob.key for blob in still.blobs().listed("")] == ["default/stages/detect/last/output.json"]
    assert list(still.redis.scan_iter(f"{prefix}:erased:*")) == [f"{prefix}:erased:default/detect/first"]


def test_a_job_that_does_not_begin_in_time_expires(house: House, client: httpx.Client) -> None:
    photo = upload(client, "red")
    late, began = submit(client, photo, expires_after_s=60), submit(client, photo, expires_after_s=60)
    patient = submit(client, photo)
    house.queue_store.dispatch("test", 100)
    house.claim(began)
    house.redis.zadd(f"{house.settings.key_prefix}:deadlines", {late: 1, began: 1})
    house.queue_store.reap([])
    assert house.jobs.get(late).status == "expired"
    assert house.jobs.get(began).status == "running"
    assert house.jobs.get(patient).status == "queued"
    assert house.where(late) == []
    with connect(house.settings) as redis:
        assert JobStore(redis, house.settings).get(late).done


@pytest.mark.parametrize("path", [f"/v1/jobs/{'0' * 32}", "/v1/jobs/x", f"/v1/photos/{'0' * 64}", "/v1/photos/a%2Fb"])
def test_what_never_was_is_not_there(client: httpx.Client, path: str) -> None:
    assert client.delete(path).status_code == 404
