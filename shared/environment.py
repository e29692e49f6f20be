"""The only reader of the environment: settings are `TROUPE_...` variables, or files named by `TROUPE_..._FILE`."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

# Exit status of a process whose settings or servers are unusable (EX_CONFIG of sysexits.h); a restart changes nothing.
EXIT_CONFIG = 78

PREFIX = "TROUPE_"
_FILE = "_FILE"
# Variables of the command line client, which may run in the same environment as the server.
_CLIENT = ("TROUPE_URL", "TROUPE_KEY")


class InvalidSetting(Exception):
    """The process cannot start with this environment. The message is one line that names the variable to change."""


class EnvironmentSettings(BaseSettings):
    """Base of the settings: how their values are read. Arguments win over variables, variables over files."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, secrets_dir=None, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature; no such file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources of values, the strongest first."""
        return init_settings, env_settings, _Files(settings_cls)

    @classmethod
    def read(cls) -> Self:
        """The settings of this process. Raises InvalidSetting for the first unknown or invalid variable."""
        check_names(os.environ, cls.model_fields)
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = str(first["loc"][0]) if first["loc"] else ""
            # An address may contain a password: such a field is left out of `repr`, too.
            known = cls.model_fields.get(field)
            secret = known is None or known.annotation is SecretStr or not known.repr
            given = "" if secret else f", not {first['input']!r}"
            raise InvalidSetting(f"{variable_of(field)}: {first['msg'].removeprefix('Value error, ')}{given}") from None

    @classmethod
    def read_or_exit(cls) -> Self:
        """The settings of this process. Prints one line to stderr and exits with EXIT_CONFIG if they are invalid."""
        try:
            return cls.read()
        except InvalidSetting as invalid:
            sys.stderr.write(f"troupe: {invalid}\n")
            sys.exit(EXIT_CONFIG)


class _Files(PydanticBaseSettingsSource):
    """Values from files, which is how container platforms provide secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: all values are read together."""
        raise NotImplementedError(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """The values of the fields that a file gives."""
        return dict(values_from_files(os.environ, self.settings_cls.model_fields))


def variable_of(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def values_from_files(environment: Mapping[str, str], fields: Collection[str]) -> dict[str, str]:
    """The settings whose `TROUPE_..._FILE` variable names a file: the text of the file without its last line end.

    Raises InvalidSetting if the file cannot be read, or if the setting is also given directly.
    """
    found = {}
    for field in fields:
        name = variable_of(field)
        file = environment.get(name + _FILE)
        if not file:
            continue
        if name in environment:
            raise InvalidSetting(f"{name} and {name}{_FILE} are both set: remove one of them")
        try:
            found[field] = Path(file).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not a text file"
            raise InvalidSetting(f"{name}{_FILE} names {file}, which cannot be read: {why}") from error
    return found


def check_names(environment: Mapping[str, str], fields: Collection[str]) -> None:
    """Raises InvalidSetting for the first `TROUPE_` variable that is not a setting, and suggests the closest name."""
    settings = [variable_of(field) for field in fields]
    known = {*settings, *(name + _FILE for name in settings), *_CLIENT}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
            hint = f"did you mean {near[0]}?" if near else "compose/README.md lists all settings"
            raise InvalidSetting(f"{name} is not a setting: {hint}")
