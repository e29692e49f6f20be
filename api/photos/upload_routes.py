"""Photos that do not pass through the API: a signed address to write one to, and then `POST /v1/photos` by its name."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth.middleware import tenant_of
from api.context import context_of
from api.http.bodies import media_type, read_body
from api.idempotency import new_id
from api.photos.openapi import UPLOAD_ANSWERS, UPLOAD_BODY
from api.photos.uploads import NewUpload, asked_of, upload_view
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
    """A signed address for one PUT of exactly so many bytes; name the upload in `POST /v1/photos` afterwards.

    What is not named within an hour or so is thrown away.
    """
    context = context_of(request)
    if media_type(request) != "application/json":
        raise UnsupportedMedia("say how large the photo is, as application/json")
    asked = asked_of(NewUpload, await read_body(request, limit_bytes=_BODY_BYTES))
    limit_bytes = context.settings.max_photo_bytes
    if asked.bytes > limit_bytes:
        raise PictureTooLarge(f"a photo may have {limit_bytes} bytes", pointer="/bytes")
    upload = new_id(request)
    url = context.blobs.put_url(upload_key(tenant_of(request), upload), asked.bytes)
    return Response(upload_view(upload, url, asked.bytes, UPLOAD_S), 201, None, "application/json")
