"""Uploads that bypass the API: a signed URL for the photo, then `POST /v1/photos` with the upload's id."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import context_of
from api.http.bodies import media_type, read_body
from api.http.problems import parse_json
from api.idempotency import new_id
from api.photos.openapi import UPLOAD_ANSWERS, UPLOAD_BODY
from api.photos.uploads import NewUpload, upload_view
from shared.blob_store import UPLOAD_S, upload_key
from shared.errors import PictureTooLarge, UnsupportedMedia

router = APIRouter(prefix="/v1/photos/uploads", tags=["photos"])

_BODY_BYTES = 4096


@router.post(
    "",
    status_code=201,
    responses=UPLOAD_ANSWERS,
    openapi_extra=UPLOAD_BODY,
    summary="Create a signed upload URL",
)
async def create_upload(request: Request) -> Response:
    """Creates a signed URL for one PUT of exactly `bytes` bytes; send the upload's id to `POST /v1/photos` afterwards.

    An upload that is not used within about an hour is deleted.
    """
    context = context_of(request)
    if media_type(request) != "application/json":
        raise UnsupportedMedia("send the size of the photo as application/json")
    new = parse_json(NewUpload, await read_body(request, limit_bytes=_BODY_BYTES))
    limit_bytes = context.settings.max_photo_bytes
    if new.bytes > limit_bytes:
        raise PictureTooLarge(f"a photo may have at most {limit_bytes} bytes", pointer="/bytes")
    upload = new_id(request)
    url = context.blobs.put_url(upload_key(tenant_of(request), upload), new.bytes)
    return Response(upload_view(upload, url, new.bytes, UPLOAD_S), 201, None, "application/json")
