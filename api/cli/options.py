"""Command-line options for the fields of a job, derived from its models."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from shared.job import Concept, Sampling
from shared.job_options import JobOption, job_options, options_of

_TYPES: Mapping[str, type] = {"integer": int, "number": float, "boolean": bool}
_CASTS = "cast_"


@dataclass(frozen=True, kw_only=True)
class FieldOption:
    """One option. path: place of its value in the job. of_person: its values are PHRASE=VALUE, one for each person."""

    path: tuple[str, ...]
    source: JobOption
    of_person: bool = False

    @property
    def name(self) -> str:
        """The parameter of the command; dashes instead of underscores make the option."""
        return _CASTS + self.path[-1] if self.of_person else self.path[-1]

    @property
    def parameter(self) -> inspect.Parameter:
        """The option as typer reads it."""
        kind = next((_TYPES[kind] for kind in ("boolean", "integer", "number") if kind in self.source.kinds), str)
        shown: Any = list[str] | None if self.of_person else kind | None
        flag = "--" + self.name.replace("_", "-")
        flags = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
        option = typer.Option(None, flags, help=self._help(), metavar=self._metavar(), show_default=False)
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=shown)

    def read(self, given: object) -> object:
        """The option's value as the job has it. Raises typer.BadParameter."""
        if not isinstance(given, str) or self.source.is_text or "string" in self.source.kinds:
            if isinstance(given, str) and self.source.values and given not in self.source.values:
                message = f"{given!r} is not one of {', '.join(self.source.values)}"
                raise typer.BadParameter(message, param_hint="--" + self.name.replace("_", "-"))
            return given
        is_list = "array" in self.source.kinds and not given.lstrip().startswith("[")
        try:
            value: object = json.loads(f"[{given}]" if is_list else given)
        except ValueError as error:
            message = f"{given!r} is not JSON: {error}"
            raise typer.BadParameter(message, param_hint="--" + self.name.replace("_", "-")) from error
        return value

    def _help(self) -> str:
        words = self.source.field.description or ""
        default = self.source.field.default
        shown = f"[default: {default}]" if isinstance(default, str | int | float) and default != "" else ""
        return " ".join(word for word in (words, shown) if word)

    def _metavar(self) -> str | None:
        value = "|".join(self.source.values)
        if self.of_person:
            return "PHRASE=" + (value or "VALUE")
        return f"[{value}]" if value else None


def field_options() -> tuple[FieldOption, ...]:
    """Options for every field of a job except its prompt and its photos, which commands take in their own way."""
    own = [one for one in job_options() if one.name not in {"prompt", "concepts", "sampling"}]
    people = [one for one in options_of(Concept) if one.name not in {"phrase", "photos"}]
    return (
        *(FieldOption(path=(one.name,), source=one) for one in own),
        *(FieldOption(path=("concepts", one.name), source=one, of_person=True) for one in people),
        *(FieldOption(path=("sampling", one.name), source=one) for one in options_of(Sampling)),
    )


@dataclass(frozen=True, kw_only=True)
class GivenFields:
    """The options that were given. people: by phrase, the fields of that concept."""

    job: Mapping[str, object]
    people: Mapping[str, Mapping[str, object]]


def with_field_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for every field in place of its parameter `given: GivenFields`."""
    options = field_options()
    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.name != "given"]

    @functools.wraps(command)
    def run(**values: object) -> None:
        fields = {option: values.pop(option.name) for option in options}
        command(**values, given=_given(fields))

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    # Typer reads it.
    setattr(run, "__signature__", signature.replace(parameters=[*parameters, *(one.parameter for one in options)]))  # noqa: B010
    return run


def _given(fields: Mapping[FieldOption, object]) -> GivenFields:
    job: dict[str, Any] = {}
    people: dict[str, dict[str, object]] = {}
    for option, value in fields.items():
        if value is None or value == []:
            continue
        if option.of_person:
            for phrase, text in pairs(value, "--" + option.name.replace("_", "-")):
                people.setdefault(phrase, {})[option.path[-1]] = option.read(text)
        elif len(option.path) == 1:
            job[option.path[0]] = option.read(value)
        else:
            job.setdefault(option.path[0], {})[option.path[1]] = option.read(value)
    return GivenFields(job=job, people=people)


def pairs(values: object, option: str) -> Iterator[tuple[str, str]]:
    """PHRASE=VALUE, taken apart. Raises typer.BadParameter."""
    for pair in values if isinstance(values, list) else []:
        phrase, equals, value = str(pair).partition("=")
        if not equals or not phrase or not value:
            message = f"{pair!r} is not PHRASE=VALUE"
            raise typer.BadParameter(message, param_hint=option)
        yield phrase, value
