"""Errors as RFC 9457 problem documents: a title, a status, a sentence for people, the request's id.

Tracebacks, paths and messages of libraries are never sent; the log has them under the same request id.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from askaudio.core.errors import (
    AskAudioError,
    AudioDecodeError,
    ConfigError,
    DataError,
    MissingExtraError,
    UnknownClipError,
)
from askaudio.index.filters import FilterError
from askaudio.ingest.sound_file import SoundFileError
from askaudio.projects.database import NameTakenError, ReadOnlyError, UnknownItemError
from askaudio.server.schemas import json_safe

LOG = logging.getLogger("askaudio.server")
PROBLEM_JSON = "application/problem+json"


class Problem(HTTPException):
    """An answer other than success, raised anywhere below a route (or above: FastAPI lets HTTPExceptions through).

    Args:
        status: HTTP status code.
        detail: One or two sentences for the caller: what was got, what was expected.
        headers: Extra response headers, for example ``Retry-After``.
        errors: One entry a wrong field, where there are several.
    """

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, errors: list[dict] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.errors = errors


def problem_body(status: int, detail: str, request_id: str, errors: list[dict] | None = None) -> dict:
    """The members of a problem document (RFC 9457, section 3.1).

    Args:
        status: HTTP status code.
        detail: What went wrong, for the caller.
        request_id: Id of the request in the log.
        errors: Faults of single parameters; None or an empty list omits the member.
    """
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    return dict(json_safe({**body, "errors": errors} if errors else body))


def problem_response(request: Request, problem: Problem) -> JSONResponse:
    """A problem as a response."""
    body = problem_body(problem.status_code, problem.detail, request.scope.get("request_id", ""), problem.errors)
    return JSONResponse(body, problem.status_code, problem.headers, media_type=PROBLEM_JSON)


def from_error(error: AskAudioError) -> Problem:
    """The problem for an error of this package: it may describe the caller's input, never the server's files."""
    if isinstance(error, AudioDecodeError):
        return Problem(422, f"The sound cannot be decoded: {error.reason}.")
    if isinstance(error, UnknownClipError):
        return Problem(404, "The collection holds no clip of this id.")
    if isinstance(error, SoundFileError | UnknownItemError):
        return Problem(404, str(error))
    if isinstance(error, NameTakenError):
        return Problem(409, str(error))
    if isinstance(error, ReadOnlyError):
        return Problem(409, "Nothing can be kept of this collection: it is read-only here, or in memory only.")
    if isinstance(error, FilterError):
        return Problem(422, str(error), errors=[{"field": "where", "detail": str(error), "position": error.position}])
    if isinstance(error, (ConfigError, DataError)):
        return Problem(422, str(error))
    if isinstance(error, MissingExtraError):
        return Problem(501, "This server was installed without the package that this request needs.")
    return Problem(
        503, "The collection cannot be searched at the moment; the server's log has the reason.", {"Retry-After": "5"}
    )


def _field_errors(error: RequestValidationError) -> list[dict]:
    def place(location: tuple) -> str:
        return ".".join(str(part) for part in location if part not in ("query", "body", "path", "header")) or "body"

    return [{"field": place(e.get("loc", ())), "detail": str(e.get("msg", ""))} for e in error.errors()[:20]]


def install_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    @app.exception_handler(AskAudioError)
    async def on_ours(request: Request, error: AskAudioError) -> JSONResponse:
        problem = from_error(error)
        if problem.status_code >= 500:
            LOG.error("request %s: %s: %s", request.scope.get("request_id"), type(error).__name__, error)
        return problem_response(request, problem)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = _field_errors(error)
        said = "; ".join(f"{e['field']}: {e['detail']}" for e in errors[:3])
        return problem_response(request, Problem(422, f"The request is not valid: {said}.", errors=errors))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Problem):
            return problem_response(request, error)
        detail = {404: "There is nothing at this address.", 405: "This address does not take this method."}
        text = detail.get(error.status_code, str(error.detail))
        return problem_response(request, Problem(error.status_code, text, dict(error.headers or {})))
