"""Photos in the OpenAPI document: responses and request bodies."""

from __future__ import annotations

from typing import Any

from api.http.openapi import (
    BODY_ERRORS,
    FILE,
    PICTURE_ERRORS,
    RETRY_AFTER,
    STORES,
    Answers,
    json_body,
    ref,
    schemas_of,
    with_problems,
)
from api.photos.consent import CONSENT_SCHEMA, FIELD
from api.photos.schemas import PhotoRecordView, PhotoView
from api.photos.uploads import NewUpload, UploadedPhoto, UploadView
from shared import errors as tree

_PLACE = {"Location": {"description": "A signed URL, which expires", "schema": {"type": "string", "format": "uri"}}}
PNG: Answers = {
    307: {"description": "`Location` is a signed URL of the picture", "headers": _PLACE},
    200: {
        "description": "The picture, for `Accept: image/png`",
        "content": {"image/png": {"schema": FILE}},
    },
}

PHOTO_LOOK_ANSWERS = with_problems(
    {
        **PNG,
        200: {
            "model": PhotoRecordView,
            "description": "The record, for `Accept: application/json`; the photo, for `Accept: image/png`",
            "content": {"image/png": {"schema": FILE}},
        },
    },
    tree.PhotoNotFound,
    *STORES,
)
PHOTO_ANSWERS = with_problems(
    {
        201: {"model": PhotoView, "description": "Stored"},
        200: {"model": PhotoView, "description": "Already stored"},
    },
    *BODY_ERRORS,
    *PICTURE_ERRORS,
    tree.UnknownUpload,
    tree.ConsentRequired,
    *STORES,
)
ERASE_PHOTO_ANSWERS = with_problems(
    {
        204: {"description": "Erased"},
        202: {"description": "The photo is erased; its faces are erased in the background", "headers": RETRY_AFTER},
    },
    tree.PhotoNotFound,
    *STORES,
)
UPLOAD_ANSWERS = with_problems(
    {201: {"model": UploadView, "description": "The signed URL"}}, *BODY_ERRORS, tree.PictureTooLarge
)
UPLOAD_BODY = json_body(NewUpload, {"bytes": 2_500_000})
COMPONENTS: dict[str, Any] = {
    **schemas_of(NewUpload, UploadedPhoto),
    "PhotoForm": {
        "type": "object",
        "required": ["photo"],
        "properties": {"photo": FILE, FIELD: CONSENT_SCHEMA},
        "additionalProperties": False,
    },
}
PHOTO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": ref("PhotoForm")},
            "image/*": {"schema": FILE},
            "application/json": {
                "schema": ref("UploadedPhoto"),
                "example": {"upload": "7c1f0a9be2d7436f8a5b3e6d9c0f1a72"},
            },
        },
    },
}
