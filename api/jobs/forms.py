"""A job as a multipart form, so that one curl command submits it.

Either the field `job` holds the whole request as JSON, or each field of JobSpec is a field of the form: strings as they
are, everything else as JSON. Instead of `concepts`, pairs of `phrase` and `photo` may be repeated: the first photo
belongs to the first phrase. Wherever the JSON names a photo id, it may name a file of the same form instead. `consent`
says on what basis the photos of the form are used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile

from api.context import Context
from api.http.openapi import FILE
from api.http.problems import pointer_to
from api.photos.consent import CONSENT_SCHEMA, FIELD, consent_in_field, required
from api.photos.decode import Photo
from api.photos.intake import decode_photo
from shared.errors import BodyTooLarge, InvalidField, MalformedBody, PictureTooLarge
from shared.job_options import JobOption, job_options

_OPTIONS = job_options()
_TEXT_FIELDS = frozenset({"job", "phrase", *(option.name for option in _OPTIONS)})


@dataclass(frozen=True, kw_only=True)
class JobForm:
    """A parsed form. value: the request as its JSON would be, not yet validated; photos: by id."""

    value: object
    photos: dict[str, Photo] = field(default_factory=dict)


def form_schema() -> dict[str, Any]:
    """The form as a JSON schema for the OpenAPI document."""
    return {
        "type": "object",
        "description": "Either `job`, or the other fields. The i-th `photo` (file or id) belongs to the i-th `phrase`; "
        "JSON may name files of the form in place of photo ids.",
        "properties": {
            "job": {"type": "string", "description": "The whole request as JSON"},
            **{option.name: _field_schema(option) for option in _OPTIONS},
            "phrase": {"type": "array", "items": {"type": "string"}},
            "photo": {"type": "array", "items": FILE},
            FIELD: CONSENT_SCHEMA,
        },
    }


def _field_schema(option: JobOption) -> dict[str, Any]:
    words = option.field.description or ""
    schema = {"type": "string", "description": words if option.is_text else f"{words} (JSON)"}
    return {**schema, "enum": list(option.values)} if option.values else schema


async def read_job_form(form: FormData, context: Context) -> JobForm:
    """Reads the fields and decodes the photos. Raises MalformedBody, InvalidField or the errors of `read_photo`."""
    limit_bytes, consent = context.settings.max_body_bytes, _consent(form, context)
    texts = {
        name: [await _text(name, part, limit_bytes) for part in form.getlist(name)]
        for name in _TEXT_FIELDS
        if name in form
    }
    _check_names(form, texts)
    paired = "phrase" in texts
    photos: dict[str, Photo] = {}
    names: dict[str, str] = {}
    pair_ids: list[str] = []
    for name, part in form.multi_items():
        if name in _TEXT_FIELDS or name == FIELD:
            continue
        place = pointer_to(name, len(pair_ids)) if name == "photo" else pointer_to(name)
        if isinstance(part, UploadFile):
            if name in names and not paired:
                message = f"two files of the form have the field name {name[:40]!r}"
                raise InvalidField(message, pointer=place)
            photo = replace(await _photo(part, context, place), consent=consent)
            photos[photo.id] = photo
            names[name] = photo.id
            identity = photo.id
        elif paired and name == "photo":
            identity = part
        else:
            message = (
                f"unknown form field {name[:40]!r}; only photos may have names of your choice, and they must be files"
            )
            raise InvalidField(message, pointer=place)
        if name == "photo":
            pair_ids.append(identity)
    whole = _json("job", texts["job"][0]) if "job" in texts else _assembled(texts, pair_ids)
    used: set[str] = set()
    value = _resolved(whole, names, used)
    _check_use(names, used, paired=paired)
    return JobForm(value=value, photos=photos)


def _consent(form: FormData, context: Context) -> str:
    """The consent for the photos of the form, "" where it has none."""
    given = form.getlist(FIELD)
    if len(given) > 1:
        raise InvalidField(f"the field {FIELD} was sent {len(given)} times", pointer=pointer_to(FIELD))
    said = consent_in_field(given[0] if given else None)
    if any(isinstance(part, UploadFile) and name not in _TEXT_FIELDS for name, part in form.multi_items()):
        return required(said, context.settings)
    if said:
        raise InvalidField("the form has no photo to which this consent could belong", pointer=pointer_to(FIELD))
    return said


def _check_names(form: FormData, texts: dict[str, list[str]]) -> None:
    for name, given in texts.items():
        if len(given) > 1 and name != "phrase":
            message = f"the field {name} was sent {len(given)} times"
            raise InvalidField(message, pointer=pointer_to(name))
    if "job" in texts and len(texts) > 1:
        extra = min(set(texts) - {"job"})
        message = f"the field job contains the whole request, so {extra} cannot be sent with it"
        raise InvalidField(message, pointer=pointer_to(extra))
    if "phrase" in texts and "concepts" in texts:
        message = "send either concepts, or pairs of phrase and photo"
        raise InvalidField(message, pointer="/phrase")
    if "phrase" in texts and len(texts["phrase"]) != len(form.getlist("photo")):
        message = f"{len(texts['phrase'])} phrases and {len(form.getlist('photo'))} photos: each phrase needs one photo"
        raise InvalidField(message, pointer="/photo")


def _assembled(texts: dict[str, list[str]], pair_ids: Iterable[str]) -> dict[str, object]:
    """The fields as one value. Missing fields are reported when the whole is validated."""
    value: dict[str, object] = {
        option.name: texts[option.name][0] if option.is_text else _json(option.name, texts[option.name][0])
        for option in _OPTIONS
        if option.name in texts
    }
    if "phrase" in texts:
        pairs = zip(texts["phrase"], pair_ids, strict=True)
        value["concepts"] = [{"phrase": phrase, "photos": [identity]} for phrase, identity in pairs]
    return value


def _resolved(value: object, names: dict[str, str], used: set[str]) -> object:
    """The request with photo ids in place of file names; a value of another shape is returned unchanged."""
    if not isinstance(value, dict) or not isinstance(value.get("concepts"), list):
        return value
    concepts = [_with_ids(concept, names, used) for concept in value["concepts"]]
    return {**value, "concepts": concepts}


def _with_ids(concept: object, names: dict[str, str], used: set[str]) -> object:
    if not isinstance(concept, dict) or not isinstance(concept.get("photos"), list):
        return concept
    used.update(name for name in concept["photos"] if isinstance(name, str) and name in names)
    photos = [names.get(name, name) if isinstance(name, str) else name for name in concept["photos"]]
    return {**concept, "photos": photos}


def _check_use(names: dict[str, str], used: set[str], *, paired: bool) -> None:
    unused = sorted(set(names) - used - ({"photo"} if paired else set()))
    if unused == ["photo"]:
        message = "no concept uses the photo: send a phrase for each photo, or name it in concepts"
        raise InvalidField(message, pointer="/photo")
    if unused:
        message = f"no concept uses the file {unused[0][:40]!r} as a photo"
        raise InvalidField(message, pointer=pointer_to(unused[0]))


async def _photo(part: UploadFile, context: Context, place: str) -> Photo:
    limit_bytes = context.settings.max_photo_bytes
    if (part.size or 0) > limit_bytes:
        message = f"the photo has more than {limit_bytes} bytes"
        raise PictureTooLarge(message, pointer=place)
    return await decode_photo(context, await part.read(), pointer=place)


async def _text(name: str, part: str | UploadFile, limit_bytes: int) -> str:
    """The text of a field, which may be a file as well (`-F job=@job.json`)."""
    if isinstance(part, str):
        return part
    if (part.size or 0) > limit_bytes:
        message = f"the field {name} has more than {limit_bytes} bytes"
        raise BodyTooLarge(message, pointer=pointer_to(name))
    try:
        return (await part.read()).decode()
    except UnicodeDecodeError as error:
        message = f"the field {name} is not UTF-8 text"
        raise MalformedBody(message, pointer=pointer_to(name)) from error


def _json(name: str, text: str) -> object:
    try:
        value: object = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        message = f"the field {name} is not readable as JSON: {error}"
        raise MalformedBody(message, pointer=pointer_to(name)) from error
    return value
