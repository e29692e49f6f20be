"""Reference photos over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from api.auth.audit_trail import AuditedRead, png_response
from api.auth.middleware import key_of, tenant_of
from api.context import Context, context_of
from api.erasure import RETRY_LATER
from api.http.bodies import media_type, read_body, read_form
from api.http.parameters import takes
from api.photos.consent import (
    CONSENT,
    FIELD,
    consent_in_field,
    one_of,
    required,
)
from api.photos.intake import PhotoSource, accept_photo
from api.photos.openapi import ERASE_PHOTO_ANSWERS, PHOTO_ANSWERS, PHOTO_BODY, PHOTO_LOOK_ANSWERS
from api.photos.schemas import PhotoRecordView, PhotoView
from api.photos.uploads import accept_upload
from shared.blob_store import photo_key
from shared.errors import (
    InvalidField,
    NoPicture,
    PhotoNotFound,
    PictureTooLarge,
    UnsupportedMedia,
)
from shared.store.jobs.erasure import Erasing
from shared.store.tenants.audit import Action

router = APIRouter(prefix="/v1/photos", tags=["photos"])

_JSON = "application/json"
# Bytes for the boundaries and headers of a form with one file.
_FRAME_BYTES = 65_536
_NAME_BYTES = 4096


@router.post("", status_code=201, responses=PHOTO_ANSWERS, openapi_extra=PHOTO_BODY, summary="Upload a photo")
@takes(stated=CONSENT)
async def upload_photo(request: Request, *, stated: str) -> Response:
    """Stores a reference photo: 201 with its id, or 200 if the same bytes are already stored.

    Send the photo as the body, as a form, or, after an upload to a signed URL, as JSON with the upload's id. A consent,
    in the form field `consent` or the header `Troupe-Consent`, is stored with the photo; a repeated upload without one
    does not remove it.
    """
    context, tenant, key = context_of(request), tenant_of(request), key_of(request)
    if media_type(request) == _JSON:
        sending = PhotoSource(by=key, consent=required(stated, context.settings))
        body = await read_body(request, limit_bytes=_NAME_BYTES)
        photo_id, is_new = await accept_upload(context, tenant, body, sending)
    else:
        data, consent = await _read_photo(request, context, stated)
        sending = PhotoSource(by=key, consent=consent)
        photo_id, is_new = await accept_photo(context, tenant, data, sending, pointer="/photo")
    return Response(PhotoView(id=photo_id).model_dump_json(), 201 if is_new else 200, None, _JSON)


@router.get(
    "/{photo_id}", status_code=307, responses=PHOTO_LOOK_ANSWERS, response_class=Response, summary="Get a photo"
)
async def get_photo(request: Request, photo_id: str) -> Response:
    """Redirects to the stored photo (PNG), or sends it for `Accept: image/png`.

    With `Accept: application/json` the response is the record of the photo with its consent.
    """
    context, tenant = context_of(request), tenant_of(request)
    if request.headers.get("accept") == _JSON:
        return await _record(context, tenant, photo_id)
    if not photo_id.isalnum() or await context.jobs.unknown_photos(tenant, [photo_id]):
        raise PhotoNotFound("no photo has this id; photos expire")
    try:
        read = AuditedRead(action=Action.PHOTO_READ, subject=photo_id)
        return await png_response(request, context, photo_key(tenant, photo_id), read)
    except NoPicture as gone:
        raise PhotoNotFound("the photo is no longer stored") from gone


async def _record(context: Context, tenant: str, photo_id: str) -> Response:
    consent = await context.jobs.consent(tenant, photo_id) if photo_id.isalnum() else None
    if consent is None:
        raise PhotoNotFound("no photo has this id; photos expire")
    view = PhotoRecordView(id=photo_id, consent=consent or None)
    return Response(view.model_dump_json(), 200, {"Cache-Control": "private, no-cache", "Vary": "Accept"}, _JSON)


async def _read_photo(request: Request, context: Context, stated: str) -> tuple[bytes, str]:
    """The bytes of the photo, and its consent."""
    limit_bytes = context.settings.max_photo_bytes
    too_large = PictureTooLarge(f"the photo has more than {limit_bytes} bytes", pointer="/photo")
    type_ = media_type(request)
    if type_ == "multipart/form-data":
        bound = limit_bytes + _FRAME_BYTES
        async with read_form(request, limit_bytes=bound, max_files=1, refusal=too_large) as form:
            photo, names = form.get("photo"), sorted(name for name, _ in form.multi_items())
            if not isinstance(photo, UploadFile) or names not in (["photo"], [FIELD, "photo"]):
                message = f"the form must have one file, in the field photo, and may have one field {FIELD}"
                raise InvalidField(message, pointer="/photo")
            consent = required(one_of(stated, consent_in_field(form.get(FIELD))), context.settings)
            data = await photo.read()
        if len(data) > limit_bytes:
            raise too_large
        return data, consent
    # The decoder detects the format; the type only has to show that the body is the photo.
    if type_.startswith("image/") or type_ == "application/octet-stream":
        consent = required(stated, context.settings)
        return await read_body(request, limit_bytes=limit_bytes, refusal=too_large), consent
    message = f"send a photo as image/*, multipart/form-data or JSON, not as {type_[:80] or 'a body without a type'}"
    raise UnsupportedMedia(message)


@router.delete("/{photo_id}", status_code=204, responses=ERASE_PHOTO_ANSWERS, summary="Erase a photo")
async def erase_photo(request: Request, photo_id: str) -> Response:
    """Erases the photo and its face embeddings. Jobs that still need it fail; finished pictures stay.

    The photo is erased at once. 202 if its faces are in many results, which are erased in the background; 404 after.
    """
    eraser, tenant, key = context_of(request).eraser, tenant_of(request), key_of(request)
    answer = await eraser.erase_photo(photo_id, tenant, key) if photo_id.isalnum() else Erasing.NONE
    if answer is Erasing.NONE:
        raise PhotoNotFound("no photo has this id; photos expire")
    return Response(status_code=202, headers=RETRY_LATER) if answer is Erasing.RUNNING else Response(status_code=204)
