"""The machine-readable description of version 1, with the errors that every operation can answer."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from askaudio.core.types import Json
from askaudio.server.guard import OPEN_PATHS
from askaudio.server.problems import PROBLEM_JSON
from askaudio.server.schemas import ProblemDocument

_ALWAYS = (400, 403, 408, 413, 421, 500, 503)  # from the checks before the route, and from faults
_MAY_BE_UNKNOWN = ("clip_id", "like", "collection")  # parameters whose value may name nothing
_MAY_CONFLICT = ("/v1/index", "/v1/duplicates")  # what runs already, and what needs a folder

_LIBRARY = "/v1/library"  # may be read-only, and its names may be taken


def describe(app: FastAPI) -> Json:
    """The OpenAPI document of an app."""
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            statuses = [*_ALWAYS, *_more_errors(path, operation)]
            operation["responses"] = {
                **{code: known for code, known in operation["responses"].items() if int(code) < 400},
                **{str(status): _problem(status) for status in sorted(set(statuses))},
            }
    return document


def _more_errors(path: str, operation: Json) -> list[int]:
    found = [] if path in OPEN_PATHS else [401, 429]
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    if names or "requestBody" in operation:
        found.append(422)
    if names.intersection(_MAY_BE_UNKNOWN) or "requestBody" in operation:
        found += [404, 501]
    if path.startswith(_LIBRARY):
        found += [404, 409, 422]
    if path in _MAY_CONFLICT:
        found.append(409)
    if path.endswith("/audio") and "clip_id" in names:
        found.append(416)
    return found


def _problem(status: int) -> Json:
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": schema}}}
