"""Reference photos over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from api.access import key_of, tenant_of
from api.bodies import media_type, read_body, read_form
from api.context import Context, context_of
from api.document.photos import PHOTO_ANSWERS, PHOTO_BODY, PHOTO_LOOK_ANSWERS
from api.intake import accept_photo
from api.reads import Reading
from api.routes.pictures import png_answer
from api.uploads import accept_upload
from api.views import PhotoView
from shared.blob_store import photo_key
from shared.errors import InvalidField, NoPicture, PhotoNotFound, PictureTooLarge, UnsupportedMedia
from shared.job_store import Action

router = APIRouter(prefix="/v1/photos", tags=["photos"])

# Room for the boundaries and headers around the one file of a form.
_FRAME_BYTES = 65_536
_NAME_BYTES = 4096


@router.post("", status_code=201, responses=PHOTO_ANSWERS, openapi_extra=PHOTO_BODY, summary="Upload a photo")
async def upload(request: Request) -> Response:
    """Keeps one reference photo: 201 with its id, or 200 when the same bytes were there already.

    As the body itself, as a form, or, as JSON, one that was uploaded to a signed address.
    """
    context, tenant, key = context_of(request), tenant_of(request), key_of(request)
    if media_type(request) == "application/json":
        body = await read_body(request, limit_bytes=_NAME_BYTES)
        photo_id, is_new = await accept_upload(context, tenant, body, by=key)
    else:
        data = await _bytes(request, context)
        photo_id, is_new = await accept_photo(context, tenant, data, by=key, pointer="/photo")
    return Response(PhotoView(id=photo_id).model_dump_json(), 201 if is_new else 200, None, "application/json")


@router.get("/{photo_id}", status_code=307, responses=PHOTO_LOOK_ANSWERS, response_class=Response, summary="A photo")
async def look(request: Request, photo_id: str) -> Response:
    """Redirects to the photo as it is kept (PNG); sends it itself to whom asks with `Accept: image/png`."""
    context, tenant = context_of(request), tenant_of(request)
    if not photo_id.isalnum() or await context.jobs.unknown_photos(tenant, [photo_id]):
        raise PhotoNotFound("there is no photo of this id; photos expire")
    try:
        reading = Reading(action=Action.PHOTO_READ, subject=photo_id)
        return await png_answer(request, context, photo_key(tenant, photo_id), reading)
    except NoPicture as gone:
        raise PhotoNotFound("the photo is no longer stored") from gone


async def _bytes(request: Request, context: Context) -> bytes:
    limit_bytes = context.settings.max_photo_bytes
    too_large = PictureTooLarge(f"the photo has more than {limit_bytes} bytes", pointer="/photo")
    type_ = media_type(request)
    if type_ == "multipart/form-data":
        bound = limit_bytes + _FRAME_BYTES
        async with read_form(request, limit_bytes=bound, max_files=1, refusal=too_large) as form:
            photo = form.get("photo")
            if not isinstance(photo, UploadFile) or len(form.multi_items()) != 1:
                message = "the form must hold one file, in the field photo"
                raise InvalidField(message, pointer="/photo")
            data = await photo.read()
        if len(data) > limit_bytes:
            raise too_large
        return data
    # What the bytes are is read from the bytes; the type only has to say that they are the body itself.
    if type_.startswith("image/") or type_ == "application/octet-stream":
        return await read_body(request, limit_bytes=limit_bytes, refusal=too_large)
    message = (
        f"send a photo as image/* or multipart/form-data, or name its upload, not {type_[:80] or 'no type at all'}"
    )
    raise UnsupportedMedia(message)
