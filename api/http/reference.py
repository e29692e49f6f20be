"""`/docs`: the OpenAPI document as an HTML page, made on the server, without scripts or foreign files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

_STYLE = """
:root{color-scheme:light dark;--line:light-dark(#d9dde3,#3a404a);--soft:light-dark(#f4f6f8,#1d2127);
--dim:light-dark(#5b6470,#a3adba);--link:light-dark(#0b57d0,#8ab4f8)}
body{font:16px/1.5 system-ui,sans-serif;max-width:54rem;margin:0 auto;padding:1rem;background:light-dark(#fff,#14171b);
color:light-dark(#1c2024,#e6e9ed);overflow-wrap:anywhere}
a{color:var(--link)}h2{margin:2.5rem 0 .5rem;border-bottom:2px solid var(--line)}h3{margin:2rem 0 0}p{margin:.4rem 0}
h4{margin:1rem 0 .25rem;font-size:.9rem;color:var(--dim)}h5{margin:.6rem 0 .2rem;font-size:.9rem}
code,pre{font:.88em/1.45 ui-monospace,monospace}code{background:var(--soft);padding:.1em .3em;border-radius:.25em}
pre{background:var(--soft);padding:.7rem;border-radius:.4rem;overflow-x:auto;overflow-wrap:normal}
dl,dt,dd{margin:0}dt{padding-top:.35rem}dd{padding-bottom:.35rem;border-bottom:1px solid var(--line)}
@media(min-width:42rem){dl{display:grid;grid-template-columns:minmax(10rem,1fr) 3fr}dt,dd{padding:.35rem .5rem .35rem 0}
dt{border-bottom:1px solid var(--line)}}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;overflow-wrap:normal}
td,th{text-align:left;vertical-align:top;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--line)}
small{color:var(--dim)}nav ul{list-style:none;padding:0;margin:.3rem 0}nav li{padding:.15rem 0}
""".strip()
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "pattern {}",
    "default": "default {}",
}


def add_reference(app: FastAPI) -> None:
    """Serves the page at `/docs`."""

    @cache
    def page() -> str:
        return page_of(app.openapi())

    async def docs(_: Request) -> Response:
        return HTMLResponse(page(), headers=_HEADERS)

    app.add_route("/docs", docs, include_in_schema=False)


def page_of(document: Mapping[str, Any]) -> str:
    """The whole page for an OpenAPI document."""
    title, parts = escape(document["info"]["title"]), document["components"]
    paths = [*document["paths"].items(), *document.get("webhooks", {}).items()]
    operations = [(method.upper(), path, one) for path, methods in paths for method, one in methods.items()]
    rooms = {room: None for _, _, operation in operations for room in operation["tags"]}
    contents, sections = "", ""
    for room in rooms:
        here = [one for one in operations if room in one[2]["tags"]]
        contents += f"<h4>{escape(room)}</h4><ul>{''.join(_link(*one) for one in here)}</ul>"
        sections += f"<h2>{escape(room)}</h2>{''.join(_operation(*one) for one in here)}"
    values = "".join(_part(name, _schema(one)) for name, one in sorted(parts["schemas"].items()))
    problems = "".join(
        _part(name, _prose(one["summary"]) + _example(one["value"])) for name, one in parts["examples"].items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f'<p>Machine-readable: <a href="openapi.json">openapi.json</a></p><nav>{contents}'
        '<h4><a href="#values">values</a></h4><h4><a href="#problems">problems</a></h4></nav><main><h2>About</h2>'
        f'{_prose(document["info"]["description"])}{sections}<h2 id="values">values</h2>{values}'
        f'<h2 id="problems">problems</h2>{problems}</main></body></html>'
    )


def _link(method: str, path: str, operation: Mapping[str, Any]) -> str:
    name = _code(f"{method} {path}")
    return f'<li><a href="#{_anchor(method, path)}">{name}</a> {escape(operation["summary"])}</li>'


def _part(name: str, inside: str) -> str:
    return f'<h3 id="{escape(name)}">{escape(name)}</h3>{inside}'


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    said = f'<section><h3 id="{_anchor(method, path)}">{_code(f"{method} {path}")} {escape(operation["summary"])}</h3>'
    said += _prose(operation.get("description", ""))
    if parameters := operation.get("parameters"):
        rows = [(one["name"], one["in"], one.get("required", False), one) for one in parameters]
        said += "<h4>Parameters</h4>" + _list(_row(*row) for row in rows)
    if body := operation.get("requestBody"):
        said += f"<h4>Body{'' if body.get('required') else ' (optional)'}</h4>{_content(body['content'])}"
    answers = _list(_answer(*one) for one in sorted(operation["responses"].items()))
    return f"{said}<h4>Answers</h4>{answers}</section>"


def _answer(status: str, answer: Mapping[str, Any]) -> tuple[str, str]:
    content = answer.get("content", {})
    codes = [code for media in content.values() for code, one in media.get("examples", {}).items() if "$ref" in one]
    words = ", ".join(f'<a href="#{code}">{code}</a>' for code in codes)
    headers = _list(_row(name, "header", False, header) for name, header in answer.get("headers", {}).items())
    return f"<b>{status}</b>", (words or _prose(answer["description"]) + _content(content)) + headers


def _content(content: Mapping[str, Any]) -> str:
    parts = ""
    for kind, media in content.items():
        schema = media["schema"]
        inside = _schema(schema) if "properties" in schema else ""
        parts += f"<h5>{_code(kind)} {'' if inside else _shape(schema)}</h5>{inside}"
        parts += _example(media["example"]) if "example" in media else ""
    return parts


def _example(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return f"<details><summary>Example</summary><pre>{escape(text)}</pre></details>"


def _schema(schema: Mapping[str, Any]) -> str:
    """A schema with its fields, if it has any."""
    needed, fields = schema.get("required", ()), schema.get("properties", {}).items()
    inside = _list(_row(name, "", name in needed, field) for name, field in fields) or _shape(schema)
    examples = "".join(_example(example) for example in schema.get("examples", ()))
    return _prose(schema.get("description", "")) + inside + examples


def _row(name: str, place: str, required: bool, described: Mapping[str, Any]) -> tuple[str, str]:
    schema = described.get("schema", described)
    marks = f"{place} {'required' if required else ''}".strip()
    example = described.get("example", next(iter(described.get("examples", ())), None))
    shown = "" if example is None else f"<p><small>Example:</small> {_code(example)}</p>"
    return f"{_code(name)} <small>{marks}</small>", _shape(schema) + _prose(described.get("description", "")) + shown


def _shape(schema: Mapping[str, Any]) -> str:
    """The type and bounds of a value in a few words; components are links."""
    if ref := schema.get("$ref"):
        name = escape(ref.rsplit("/", 1)[1])
        return f'<a href="#{name}">{name}</a>'
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_shape(choice) for choice in choices)
    if "const" in schema or "enum" in schema:
        return "one of " + ", ".join(_code(word) for word in schema.get("enum", [schema.get("const")]))
    kind = escape(" or ".join([schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])))
    if "items" in schema:
        kind = f"list of {_shape(schema['items'])}"
    elif isinstance(schema.get("additionalProperties"), dict):
        kind = f"object of {_shape(schema['additionalProperties'])}"
    elif form := schema.get("format"):
        kind = f"{kind} ({escape(form)})"
    bounds = [words.format(_code(schema[key])) for key, words in _BOUNDS.items() if key in schema]
    return ", ".join([kind or "anything", *bounds])


def _code(value: object) -> str:
    return f"<code>{escape(value if isinstance(value, str) and value else json.dumps(value))}</code>"


def _list(rows: Iterable[tuple[str, str]]) -> str:
    inside = "".join(f"<dt>{term}</dt><dd>{words}</dd>" for term, words in rows)
    return f"<dl>{inside}</dl>" if inside else ""


def _prose(text: str) -> str:
    """Paragraphs, and tables of lines that begin with a bar, as the document has them."""
    return "".join(
        _table(block) if block.startswith("|") else f"<p>{_inline(block)}</p>" for block in text.split("\n\n") if block
    )


def _table(block: str) -> str:
    head, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.strip().splitlines())
    titles = "".join(f"<th>{_inline(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{titles}</tr>{lines}</table></div>'


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _anchor(method: str, path: str) -> str:
    return re.sub(r"\W+", "-", f"{method.lower()}{path}").strip("-")
