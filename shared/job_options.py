"""The fields of a job request, from which every way to send one is derived."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from shared.job import JobSpec


@dataclass(frozen=True, kw_only=True)
class JobOption:
    """A field of JobSpec, as forms and command lines offer it.

    Attributes:
        name: of the field.
        field: its type, default, bounds and description.
        is_text: whether its JSON value is always a string, so that a form may hold it without quotes.
        values: the allowed words, or () for anything else.
    """

    name: str
    field: FieldInfo
    is_text: bool
    values: tuple[str, ...]


def job_options() -> tuple[JobOption, ...]:
    """Every field of JobSpec, in order. Forms, scenes, the client and the command line are derived from these."""
    return tuple(_option(name, field) for name, field in JobSpec.model_fields.items())


def _option(name: str, field: FieldInfo) -> JobOption:
    schema = TypeAdapter(field.rebuild_annotation()).json_schema()
    return JobOption(
        name=name, field=field, is_text=schema.get("type") == "string", values=tuple(schema.get("enum", ()))
    )
