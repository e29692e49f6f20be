"""What the OpenAPI document says of photos beyond the routes' own words."""

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

_PLACE = {
    "Location": {"description": "A signed address, valid for a while", "schema": {"type": "string", "format": "uri"}}
}
PNG: Answers = {
    307: {"description": "`Location` is a signed address of the picture", "headers": _PLACE},
    200: {
        "description": "The picture itself, asked for with `Accept: image/png`",
        "content": {"image/png": {"schema": FILE}},
    },
}

PHOTO_LOOK_ANSWERS = with_problems(
    {
        **PNG,
        200: {
            "model": PhotoRecordView,
            "description": "What was said of consent, asked for with `Accept: application/json`; or the photo itself, "
            "with `Accept: image/png`",
            "content": {"image/png": {"schema": FILE}},
        },
    },
    tree.PhotoNotFound,
    *STORES,
)
PHOTO_ANSWERS = with_problems(
    {
        201: {"model": PhotoView, "description": "Stored"},
        200: {"model": PhotoView, "description": "Was there already"},
    },
    *BODY_ERRORS,
    *PICTURE_ERRORS,
    tree.UnknownUpload,
    tree.ConsentRequired,
    *STORES,
)
ERASE_PHOTO_ANSWERS = with_problems(
    {
        204: {"description": "Gone"},
        202: {"description": "Gone but for faces in many casts, which go by themselves", "headers": RETRY_AFTER},
    },
    tree.PhotoNotFound,
    *STORES,
)
UPLOAD_ANSWERS = with_problems(
    {201: {"model": UploadView, "description": "Send the photo there"}}, *BODY_ERRORS, tree.PictureTooLarge
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
