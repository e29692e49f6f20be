"""The API keeps what its OpenAPI document says, whatever is sent to it: a property, looked for by schemathesis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as how
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from api.app import create_app
from shared.settings import Settings
from tests.support.api_server import ApiServer, png_bytes

Sent = Case[Any]

SEED = 20_260_101
EXAMPLES = 10
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]
DOCUMENT = create_app(Settings()).openapi()
for operations in DOCUMENT["paths"].values():
    for operation in operations.values():
        # This server asks for no keys; that one is asked for where it should be, test_access tells.
        operation.pop("security", None)
# A body that is wrong in its size is refused for its size.
REFUSED = ["400", "404", "409", "413", "415", "422"]
CONFIG = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}})
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}
# The same cases every time.
SEARCH = how(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Nothing in these can be wrong: they take no parameter.
CANNOT_BE_WRONG = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /v1/queue",
    "GET /v1/workers",
    "GET /v1/webhooks",
}
# The stream of a batch that goes on stays open, and here no worker ends one: only ids of no batch are tried.
STAYS_OPEN = "GET /v1/batches/{batch_id}/events"
# All that the tenant has goes with it, and what comes while it goes: the last one.
LABELS = sorted(OPERATIONS, key=lambda label: (label == "DELETE /v1/tenant", label))


@dataclass(frozen=True, kw_only=True)
class Things:
    """What is there, so that not everything is answered with 404. jobs: succeeded, queued, canceled."""

    photo: str
    jobs: tuple[str, ...]
    batch: str
    webhook: str
    delivery: str
    cursors: dict[str, str]

    def ids(self) -> st.SearchStrategy[dict[str, str]]:
        """Path parameters that lead to something."""
        fixed = {
            "photo_id": self.photo,
            "batch_id": self.batch,
            "webhook_id": self.webhook,
            "delivery_id": self.delivery,
        }
        return st.sampled_from([{**fixed, "job_id": job} for job in self.jobs])


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"max_wait_s": 0.05}


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def things(server: ApiServer) -> Things:
    server.announce_workers()
    with server.client() as client:
        photo = client.post("/v1/photos", files={"photo": ("a.png", png_bytes())}).json()["id"]
        asked = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo]}]}
        for webhook in client.get("/v1/webhooks").json()["webhooks"]:
            client.delete(f"/v1/webhooks/{webhook['id']}").raise_for_status()
        webhook = made(client, "/v1/webhooks", json={"url": "https://example.com/troupe"})
        delivery = made(client, f"/v1/webhooks/{webhook}/test")
        jobs = tuple(made(client, "/v1/jobs", json=asked) for _ in range(3))
        server.run_stages(jobs[0])
        client.post(f"/v1/jobs/{jobs[2]}/cancel").raise_for_status()
        lines = b"\n".join(json.dumps({**asked, "custom_id": str(number)}).encode() for number in range(2))
        jsonl = {"Content-Type": "application/jsonl"}
        batch, _ = (made(client, "/v1/batches", content=lines + b"\n{}", headers=jsonl) for _ in range(2))
        pages = ("/v1/jobs", "/v1/batches", "/v1/audit", f"/v1/batches/{batch}/items")
        cursors = {page: client.get(page, params={"limit": 1}).json()["next"] for page in pages}
    cursors["/v1/batches/{batch_id}/items"] = cursors.pop(f"/v1/batches/{batch}/items")
    return Things(photo=photo, jobs=jobs, batch=batch, webhook=webhook, delivery=delivery, cursors=cursors)


def made(client: httpx.Client, path: str, **sent: Any) -> str:
    answer = client.post(path, **sent)
    answer.raise_for_status()
    name: str = answer.json()["id"]
    return name


def with_real_things(case: Sent, things: Things) -> None:
    """Photos, cursors and the tenant's name as they are: nobody guesses them."""
    if case.query.get("cursor") is not None:
        case.query["cursor"] = things.cursors.get(case.operation.path, things.delivery)
    if "confirm" in case.query:
        case.query["confirm"] = "default"
    if case.media_type == "application/json" and isinstance(case.body, dict):
        body: Any = case.body
        for cast in [body, *body.get("casts", ())]:
            for concept in cast.get("concepts", ()):
                concept["photos"] = [things.photo]
                concept.pop("box_px", None)
        for scene in [body, *body.get("scenes", ())]:
            if "sampling" in scene:
                scene["sampling"] |= {"width_px": None, "height_px": None}


def send(server: ApiServer, session: requests.Session, case: Sent) -> None:
    answer = case.call(base_url=server.url, session=session, allow_redirects=False, timeout=20)
    # Of an event stream schemathesis takes the schema for that of one event; OpenAPI 3.1 has it for the whole text.
    streams = answer.headers.get("content-type", [""])[0].startswith("text/event-stream")
    left_out = [checks.response_schema_conformance] if streams else []
    case.validate_response(answer, checks=CHECKS, excluded_checks=left_out)


@pytest.mark.parametrize("label", LABELS)
def test_what_the_document_allows_is_answered_as_it_says(
    server: ApiServer, session: requests.Session, things: Things, label: str
) -> None:
    anything = OPERATIONS[label].as_strategy(generation_mode=GenerationMode.POSITIVE)
    print("seed", SEED)

    @seed(SEED)
    @SEARCH
    @given(case=anything, ids=things.ids(), real=st.booleans())
    def holds(case: Sent, ids: dict[str, str], real: bool) -> None:
        if real and label != STAYS_OPEN:
            case.path_parameters = {name: ids[name] for name in case.path_parameters}
            with_real_things(case, things)
            if label.endswith("/events"):
                case.path_parameters["job_id"] = things.jobs[0]
        send(server, session, case)

    holds()


@pytest.mark.parametrize("label", [label for label in LABELS if label not in CANNOT_BE_WRONG])
def test_what_the_document_does_not_allow_is_refused_as_it_says(
    server: ApiServer, session: requests.Session, label: str
) -> None:
    wrong = OPERATIONS[label].as_strategy(generation_mode=GenerationMode.NEGATIVE)
    print("seed", SEED)

    @seed(SEED)
    @SEARCH
    @given(case=wrong)
    def holds(case: Sent) -> None:
        send(server, session, case)

    holds()
