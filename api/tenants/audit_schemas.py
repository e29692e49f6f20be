"""Schemas and responses of the audit log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from api.http.openapi import with_problems
from shared import errors as tree
from shared.store.tenants.audit import Action, AuditEntry, AuditPage


class AuditEntryView(TypedDict):
    """An action with one of the tenant's keys."""

    id: Annotated[str, Field(description="Id of the entry", examples=["1798675200000-0"])]
    at: datetime
    tenant: Annotated[str, Field(examples=["default"])]
    key: Annotated[
        str, Field(description="Id of the key (not secret); `-` while authentication is off", examples=["-"])
    ]
    action: Action
    subject: Annotated[
        str,
        Field(
            description="Id of the job, photo or batch, or the tenant's name",
            examples=["5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c"],
        ),
    ]
    detail: Annotated[
        str | None,
        Field(
            description="Which picture (`picture`, `template`, `masks`, `emerging`) or file (`output`, `errors`, "
            "`manifest`, `zip`, `items`) was read; for `job.retried`, the retried job",
            examples=["picture"],
        ),
    ]
    consent: Annotated[
        str | None,
        Field(
            description="The consent of an upload, if any; erased with the tenant",
            examples=["written release 2026-11-03, A. Person"],
        ),
    ]


class AuditPageView(TypedDict):
    """One page of the tenant's audit log, newest entry first."""

    entries: list[AuditEntryView]
    next: Annotated[str | None, Field(description="`cursor` of the next page; null on the last one")]


_PAGE_JSON = TypeAdapter(AuditPageView)


def page_body(page: AuditPage) -> bytes:
    """A page of an audit log as JSON."""
    return _PAGE_JSON.dump_json({"entries": [_view(entry) for entry in page.entries], "next": page.next})


def _view(entry: AuditEntry) -> AuditEntryView:
    return {
        "id": entry.id,
        "at": datetime.fromtimestamp(entry.at, UTC),
        "tenant": entry.tenant,
        "key": entry.key,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "consent": entry.consent,
    }


AUDIT_ANSWERS = with_problems(
    {200: {"model": AuditPageView, "description": "One page"}}, tree.InvalidField, tree.RecordsUnavailable
)


def audit_example() -> Any:
    """A page as the API sends it. FastAPI would drop fields that are null."""
    key, tenant = "3f9a6c1e5d7b2480", "default"
    upload = AuditEntry(
        id="1798675200000-0",
        at=1_798_675_200.0,
        tenant=tenant,
        key=key,
        action=Action.PHOTO_UPLOADED,
        subject="0b54a5b4c5d0b4c2" * 4,
        detail=None,
        consent="written release 2026-11-03, A. Person",
    )
    read = AuditEntry(
        id="1798675260000-0",
        at=1_798_675_260.0,
        tenant=tenant,
        key=key,
        action=Action.PICTURE_READ,
        subject="5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c",
        detail="picture",
    )
    return json.loads(page_body(AuditPage(entries=(read, upload), next=None)))
