"""Access control: the token, the page's session cookie, the Host header, and cross-site requests.

The page cannot set a header on ``<audio src>``, so it exchanges the token once for a cookie that scripts cannot read.
The cookie holds a keyed hash of a fixed text, never the token; changing the token invalidates all cookies.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

from askaudio.server.settings import LOOPBACK_NAMES, ServerSettings

SESSION_COOKIE = "askaudio_session"
_SESSION_TEXT = b"askaudio page session v1"
_HOST = re.compile(
    r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?))(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)


def session_value(token: str) -> str:
    """Value of the session cookie for a token: 64 hex digits."""
    return hmac.new(token.encode(), _SESSION_TEXT, hashlib.sha256).hexdigest()


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))


def shows_token(headers: Headers, token: str) -> bool:
    """Whether ``Authorization: Bearer`` carries the token (compared in constant time)."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and _same(given.strip(), token)


def shows_session(headers: Headers, token: str) -> bool:
    """Whether the session cookie matches the token."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return False
    return morsel is not None and _same(morsel.value, session_value(token))


def host_is_allowed(headers: Headers, settings: ServerSettings) -> bool:
    """Whether the ``Host`` header names this service: the guard against DNS rebinding.

    A hostile page can point its own name at 127.0.0.1, but then the header carries that name. A bare address cannot
    be rebound, so a service that is bound beyond loopback takes any address, and names only when they were allowed.
    """
    values = headers.getlist("host")
    name = _host_name(values[0]) if len(values) == 1 else None
    if name is None:
        return False
    if name in LOOPBACK_NAMES or name.strip("[]") in {
        allowed.lower().strip("[]") for allowed in settings.allowed_hosts
    }:
        return True
    return not settings.is_loopback and _is_address(name.strip("[]"))


def _host_name(header: str) -> str | None:
    """The name in a ``Host`` header, in lower case and IPv6 in brackets; None for anything but NAME or NAME:PORT.

    Strict, because whatever two programs read differently can be used to pass the check of one of them: no user, no
    trailing dot, no zone, no spaces, no list.
    """
    found = _HOST.fullmatch(header)
    if found is None or int(found["port"] or 0) > 65535:
        return None
    if found["six"] is None:
        return found["name"].lower()
    try:
        return f"[{ipaddress.IPv6Address(found['six'])}]"
    except ValueError:
        return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_cross_site(headers: Headers) -> bool:
    """Whether a browser sent the request from a page of another site; other programs send neither header and pass."""
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()
