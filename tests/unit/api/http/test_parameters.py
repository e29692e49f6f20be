"""Parameters read themselves and describe themselves."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.app import create_app
from api.http.parameters import (
    IF_NONE_MATCH,
    LIMIT,
    WAIT,
    Parameter,
    choice,
    cursor,
    flag,
    parameters_of,
    takes,
    whole_number,
)
from api.http.problems import InvalidFields
from shared.settings import Settings

APP = create_app(Settings())
PATHS = APP.openapi()["paths"]
ROUTES = [route for route in APP.routes if isinstance(route, APIRoute) and route.include_in_schema]
COLOR = choice("color", ("red", "blue"), "A color")
EXPIRES = whole_number("expires", "Seconds", most=60, default=None)


def request(query: str = "", *headers: tuple[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "query_string": query.encode(), "headers": raw})


@pytest.mark.parametrize(
    ("parameter", "query", "expected"),
    [
        (COLOR, "", None),
        (COLOR, "color=blue", "blue"),
        (flag("strict", ""), "strict=true", True),
        (flag("strict", ""), "strict=false", False),
        (LIMIT, "other=1", 20),
        (LIMIT, "limit=7", 7),
        (WAIT, "wait=1.5", 1.5),
        (EXPIRES, "", None),
        (cursor(lambda text: text or None), "cursor=abc", "abc"),
    ],
)
def test_a_parameter_gives_the_value_of_the_query_or_its_default(
    parameter: Parameter[Any], query: str, expected: object
) -> None:
    assert parameter.read(request(query)) == expected


@pytest.mark.parametrize(
    ("parameter", "query", "code"),
    [
        (COLOR, "color=green", "unknown_value"),
        (COLOR, "color=red&color=red", "given_twice"),
        (flag("strict", ""), "strict=yes", "unknown_value"),
        (LIMIT, "limit=101", "out_of_range"),
        (LIMIT, "limit=", "out_of_range"),
        (WAIT, "wait=inf", "not_seconds"),
        (WAIT, "wait=soon", "not_seconds"),
        (cursor(lambda _: None), "cursor=abc", "not_a_cursor"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_is_not_what_the_schema_allows(
    parameter: Parameter[Any], query: str, code: str
) -> None:
    with pytest.raises(InvalidFields) as caught:
        parameter.read(request(query))
    (wrong,) = caught.value.fields
    assert (wrong.code, wrong.parameter) == (code, parameter.name)
    assert wrong.message.startswith(parameter.name)
    text = query.partition("=")[2]
    if code in {"unknown_value", "out_of_range"}:
        value: object = int(text) if text.isdecimal() else text
        assert not jsonschema_rs.Draft202012Validator(parameter.described()["schema"]).is_valid(value)


def test_several_headers_of_a_list_are_one_value() -> None:
    sent = request("", ("If-None-Match", 'W/"1"'), ("If-None-Match", 'W/"2"'))
    assert IF_NONE_MATCH.read(sent) == 'W/"1", W/"2"'


def test_an_endpoint_must_take_the_parameters_that_it_names() -> None:
    async def endpoint(_: Request, *, limit: int) -> Response:
        return Response(str(limit))

    with pytest.raises(TypeError, match="wait_s"):
        takes(wait_s=WAIT)(endpoint)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{min(route.methods)} {route.path}")
def test_the_document_has_the_parameters_that_a_route_takes_and_no_other(route: APIRoute) -> None:
    taken = {(one.place, one.name) for one in parameters_of(route.endpoint)}
    for method in route.methods or ():
        described = {(one["in"], one["name"]) for one in PATHS[route.path][method.lower()].get("parameters", ())}
        # The key is read around every POST, not by a route.
        assert {one for one in described if one[0] != "path"} - {("header", "Idempotency-Key")} == taken
