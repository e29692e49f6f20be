"""What the OpenAPI document says of uploads to signed addresses beyond the routes' own words."""

from __future__ import annotations

from typing import Any

from api.document.openapi import BODY_ERRORS, with_problems
from api.uploads import NewUpload, UploadedPhoto, UploadView
from shared import errors as tree

UPLOAD_ANSWERS = with_problems(
    {201: {"model": UploadView, "description": "Send the photo there"}}, *BODY_ERRORS, tree.PictureTooLarge
)
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": NewUpload.model_json_schema(), "example": {"bytes": 2_500_000}}},
    }
}
UPLOADED: dict[str, Any] = {
    "schema": UploadedPhoto.model_json_schema(),
    "example": {"upload": "7c1f0a9be2d7436f8a5b3e6d9c0f1a72"},
}
