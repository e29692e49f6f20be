"""The container files as data: compose files with their interpolation and tags resolved, Dockerfiles by stage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from compose.processes import ROOT

MAIN = "docker-compose.yml"
OVERRIDES = ("compose/cpu.yml", "compose/api-host.yml", "compose/gpu-host.yml", "compose/gpu-detection.yml")
MANIFESTS = sorted(path for path in (ROOT / "compose" / "kubernetes").glob("*.yaml") if path.stem != "kustomization")
DOCKERFILES = {path.name: path.read_text() for path in sorted((ROOT / "compose").glob("*.Dockerfile"))}
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<kind>:?-|:\?)(?P<more>[^}]*))?\}|\$(?P<bad>\S?)")


class Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml comes without types
    """YAML with Compose's two tags: what they stand before takes the place of what was there."""


for tag in ("!reset", "!override"):
    Loader.add_constructor(tag, lambda loader, node: loader.construct_sequence(node))


class Unresolved(Exception):
    """A variable that nobody sets, and that has no default."""


def interpolated(text: str, environment: Mapping[str, str]) -> str:
    """The text with `${NAME}`, `${NAME-default}`, `${NAME:-default}` and `${NAME:?why}` replaced as Compose does it.

    Raises Unresolved.
    """

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if found["bad"] is not None:
            raise Unresolved(f"a lone $ in {text!r}")
        given = environment.get(found["name"], "")
        # Without a colon, a variable that is set to nothing is nothing.
        if given or (found["kind"] == "-" and found["name"] in environment):
            return given
        if found["kind"] in {"-", ":-"}:
            return found["more"]
        raise Unresolved(f"{found['name']}: {found['more'] or 'has no default'}")

    return _VARIABLE.sub(value, text)


def resolved(node: Any, environment: Mapping[str, str]) -> Any:
    """The same for every text in a document."""
    if isinstance(node, dict):
        return {key: resolved(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [resolved(value, environment) for value in node]
    return interpolated(node, environment) if isinstance(node, str) else node


def compose_file(name: str) -> dict[str, Any]:
    """A compose file as it stands."""
    document: dict[str, Any] = yaml.load((ROOT / name).read_text(), Loader)  # noqa: S506 - a SafeLoader with two tags
    return document


def env_example() -> dict[str, str]:
    """The variables of compose/env.example."""
    lines = (ROOT / "compose" / "env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def services(environment: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """The services of the main file, resolved with these variables, or those of env.example."""
    found: dict[str, dict[str, Any]] = resolved(compose_file(MAIN)["services"], environment or env_example())
    return found


def ours(service: Mapping[str, Any]) -> bool:
    """Whether a service runs an image of this repository."""
    return str(service["image"]).startswith("troupe-")


def manifests() -> list[dict[str, Any]]:
    """Every Kubernetes object."""
    return [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """The pod specification of every Deployment and Job, by name."""
    kinds = {"Deployment", "Job"}
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in manifests() if one["kind"] in kinds}
