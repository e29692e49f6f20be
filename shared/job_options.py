"""The fields of a job request and its parts, from which every way to send one is derived."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from shared.job import JobSpec


@dataclass(frozen=True, kw_only=True)
class JobOption:
    """A field of JobSpec or of a part of it, as forms and command lines offer it.

    Attributes:
        name: of the field.
        field: its type, default, bounds and description.
        is_text: whether its JSON value is always a string, so that a form may hold it without quotes.
        kinds: JSON types that its value may have, such as "integer"; not "null".
        values: the allowed words, or () for anything else.
    """

    name: str
    field: FieldInfo
    is_text: bool
    kinds: frozenset[str]
    values: tuple[str, ...]


def job_options() -> tuple[JobOption, ...]:
    """Every field of JobSpec, in order. Forms, scenes, the client and the command line are derived from these."""
    return options_of(JobSpec)


def options_of(model: type[BaseModel]) -> tuple[JobOption, ...]:
    """Every field of JobSpec or of one of its parts, in order."""
    return tuple(_option(name, field) for name, field in model.model_fields.items())


def _option(name: str, field: FieldInfo) -> JobOption:
    schema = TypeAdapter(field.rebuild_annotation()).json_schema()
    branches = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    return JobOption(
        name=name,
        field=field,
        is_text=schema.get("type") == "string",
        kinds=frozenset(one["type"] for one in branches if "type" in one),
        values=tuple(word for one in branches for word in one.get("enum", ())),
    )
