"""The description of the API: for programs as OpenAPI, for people as a page."""

import functools
import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI

from digest import archive
from digest.api import errors, hub, own, topics
from subscriptions import clock

VERSION = "1.0.0"
DESCRIPTION = (
    "Hugging Face's paths answer its released clients as they are, once HF_ENDPOINT is the address of this site. "
    "What is under /api/v1 is Paperboy's own. Everything is read with GET or HEAD, needs no key and sets no cookie; "
    "errors are JSON with a sentence that says what to do. Answers carry an ETag: ask again with If-None-Match."
)
#: What stands for a path's parameters and for a query where there is nothing to show.
EXAMPLES = {"identifier": "2606.01234", "day": "2026-06-02", "q": "robot"}

api = NinjaAPI(title="Paperboy", version=VERSION, description=DESCRIPTION, docs_url=None, openapi_url=None)
errors.install(api)
for router in (hub.router, own.router, topics.router):
    api.add_router("", router, url_name_prefix="api")


@functools.cache
def description() -> dict[str, Any]:
    """The OpenAPI document. HEAD is left out of it: wherever GET is, HEAD is too."""
    document: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix="")))
    for operations in document["paths"].values():
        operations.pop("head")
        for parameter in operations["get"]["parameters"]:
            parameter.pop("examples", None)  # which have another shape there than in the schema
    document["servers"] = [{"url": settings.DIGEST_BASE_URL}]
    return document


def openapi(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(description()), content_type="application/json")


def page(request: HttpRequest) -> HttpResponse:
    """The same for people, with examples that lead to what is here."""
    document, examples = description(), _examples()
    operations = [_operation(path, found["get"], examples) for path, found in document["paths"].items()]
    shapes = [
        {"name": name, "what": shape.get("description", ""), "fields": _fields(shape)}
        for name, shape in sorted(document["components"]["schemas"].items())
    ]
    context = {
        "api": document["info"],
        "groups": {name: [one for one in operations if one["group"] == name] for name in _groups(operations)},
        "shapes": shapes,
        "requests": settings.DIGEST_API_RATE,
        "searches": settings.DIGEST_SEARCH_RATE,
    }
    return render(request, "digest/api.html", context)


def _groups(operations: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(operation["group"] for operation in operations))


def _examples() -> dict[str, str]:
    edition = archive.newest(clock.today())
    placement = archive.of_edition(edition).first() if edition else None
    if not (edition and placement):
        return EXAMPLES
    return {**EXAMPLES, "day": edition.date.isoformat(), "identifier": placement.paper.identifier}


def _operation(path: str, found: dict[str, Any], examples: dict[str, str]) -> dict[str, Any]:
    example = path.format_map(examples)
    if any(parameter["in"] == "query" and parameter["required"] for parameter in found["parameters"]):
        example += f"?q={examples['q']}"
    return {
        "id": found["operationId"],
        "group": found["tags"][0],
        "path": path,
        "what": found["description"],
        "example": example,
        "parameters": [
            {
                "name": parameter["name"],
                "kind": _kind(parameter["schema"]).removesuffix(" or null"),
                "default": parameter["schema"].get("default"),
                "what": parameter["schema"].get("description", ""),
            }
            for parameter in found["parameters"]
        ],
        "answers": [(status, _answer(answer)) for status, answer in found["responses"].items()],
    }


def _answer(answer: dict[str, Any]) -> str:
    media, content = next(iter(answer["content"].items()))
    return _kind(content["schema"]) if media == "application/json" else str(media)


def _fields(shape: dict[str, Any]) -> list[dict[str, str]]:
    needed = shape.get("required", [])
    return [
        {
            "name": name,
            "kind": _kind(field) + ("" if name in needed else ", where known"),
            "what": field.get("description", ""),
        }
        for name, field in shape["properties"].items()
    ]


def _kind(schema: dict[str, Any]) -> str:
    """The type of a value in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    kinds = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    kind = str(schema.get("type", "anything"))
    return {"date-time": "time", "date": "day"}.get(str(schema.get("format")), kinds.get(kind, kind))
