"""The outermost ASGI middleware: checks every request before the routes and completes every response after them.

Requests: request id, Host, cross-site, rate limit, token, size and time of the body. Responses: security headers,
metrics, and a problem document for any uncaught error. Cost: about 50 microseconds a request.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from askaudio.server.access import host_is_allowed, is_cross_site, shows_session, shows_token
from askaudio.server.limits import ByteBudget, RateLimit, retry_after
from askaudio.server.metrics import Metrics
from askaudio.server.problems import LOG, PROBLEM_JSON, Problem, problem_body
from askaudio.server.settings import ServerSettings

API = "/v1/"
UPLOAD_PATHS = frozenset({"/v1/search/audio", "/v1/library/import"})
OPEN_PATHS = frozenset({"/v1/health"})  # no token, no rate: for health checks of containers
MAX_BODY_BYTES = 256 * 1024  # of every request that is not an upload
MULTIPART_OVERHEAD_BYTES = 64 * 1024

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(self), geolocation=(), payment=(), usb=()",
}


class Guard:
    """ASGI middleware; see the head of the file."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._rate = RateLimit(settings.rate_per_s, settings.rate_burst)
        self._uploads = ByteBudget(settings.max_uploads_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        scope["request_id"] = answer.request_id
        started = time.perf_counter()
        self._metrics.in_flight.inc()
        body = self._body(scope, receive, answer)
        try:
            self._check(scope)
            body.check_announced(Headers(scope=scope).get("content-length"))
            await self._app(scope, body, answer.send)
        except Problem as problem:
            await answer.problem(problem)
        except Exception:  # the outermost layer: the caller always gets a response, and the log the reason
            LOG.exception("request %s failed", answer.request_id)
            await answer.problem(Problem(500, "Something went wrong here; the server's log has the details."))
        finally:
            body.close()
            self._metrics.in_flight.dec()
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, _method(scope), str(answer.status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not scope["path"].startswith(
            "/"
        ):  # http://name/path, * and the like: proxies and others read them differently
            raise self._refusal("target", 400, "The request's target must be a path that begins with a slash.")
        if not host_is_allowed(headers, self._settings):
            raise self._refusal("host", 421, "This server does not answer to that host name; see --allow-host.")
        if not scope["path"].startswith(API):
            return
        if is_cross_site(headers):
            raise self._refusal("cross_site", 403, "Pages of other sites may not use this server.")
        if scope["path"] in OPEN_PATHS:
            return
        wait_s = self._rate.wait_s(_address(scope))
        if wait_s:
            raise self._refusal("rate", 429, "Too many requests; slow down.", retry_after(wait_s))
        token = self._settings.token
        if token is None:
            return
        if not (shows_token(headers, token) or shows_session(headers, token)):
            challenge = {"WWW-Authenticate": 'Bearer realm="askaudio"'}
            raise self._refusal("token", 401, "This server asks for a token: Authorization: Bearer TOKEN.", challenge)

    def _refusal(self, limit: str, status: int, detail: str, headers: dict[str, str] | None = None) -> Problem:
        self._metrics.refused.labels(limit).inc()
        return Problem(status, detail, headers)

    def _body(self, scope: Scope, receive: Receive, answer: _Answer) -> _Body:
        if scope["path"] in UPLOAD_PATHS:
            limit, budget = self._settings.max_upload_bytes + MULTIPART_OVERHEAD_BYTES, self._uploads
        else:
            limit, budget = MAX_BODY_BYTES, None
        return _Body(receive, limit, self._settings.body_timeout_s, budget, answer)


class _Body:
    """Forwards the body, at most ``limit`` bytes and for at most ``timeout_s``; all uploads share a budget."""

    def __init__(
        self, receive: Receive, limit: int, timeout_s: float, budget: ByteBudget | None, answer: _Answer
    ) -> None:
        self._receive, self._limit, self._budget, self._answer = receive, limit, budget, answer
        self._taken, self._more = 0, True
        self._deadline = time.monotonic() + timeout_s

    async def __call__(self) -> Message:
        if not self._more:  # the body is complete: only the end of the connection can follow
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            if self._answer.started:  # too late for another status: end as if the client had gone
                return {"type": "http.disconnect"}
            raise Problem(408, "The request's body did not arrive in time.", {"Connection": "close"}) from None
        if message["type"] == "http.request":
            self._take(len(message.get("body", b"")))
            self._more = message.get("more_body", False)
        return message

    def _take(self, n_bytes: int) -> None:
        if self._budget is not None and not self._budget.take(n_bytes):
            detail = "Too many sounds are being sent at the moment; try again in a while."
            raise Problem(503, detail, {"Retry-After": "5", "Connection": "close"})
        self._taken += n_bytes
        if self._taken > self._limit:
            raise self._too_large()

    def close(self) -> None:
        """The request is over: its bytes are free for others."""
        if self._budget is not None:
            self._budget.release(self._taken)

    def check_announced(self, content_length: str | None) -> None:
        """Refuse a body by its announced size, before a byte of it is read."""
        if content_length is not None and content_length.isdigit() and int(content_length) > self._limit:
            raise self._too_large()

    def _too_large(self) -> Problem:
        detail = f"The request's body is too large; at most {self._limit:,} bytes are taken."
        return Problem(413, detail, {"Connection": "close"})


class _Answer:
    """Adds the headers to every response, and sends a problem document if no response has begun."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self.request_id = uuid.uuid4().hex
        self.status = 500
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers["x-request-id"] = self.request_id
            headers.setdefault("cache-control", "no-store" if self._scope["path"].startswith(API) else "no-cache")
        await self._send(message)

    async def problem(self, problem: Problem) -> None:
        if self.started:
            return  # the response has begun: the server closes the connection, which the caller notices
        body = json.dumps(problem_body(problem.status_code, problem.detail, self.request_id, problem.errors)).encode()
        if self._scope["method"] == "HEAD":
            body = b""
        headers = MutableHeaders({"content-type": PROBLEM_JSON, "content-length": str(len(body))})
        for name, value in (problem.headers or {}).items():
            headers[name] = value
        await self.send({"type": "http.response.start", "status": problem.status_code, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "local"


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"
