"""Whose library a request means."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header

from askaudio.projects.kept import Kept
from askaudio.server.service import ServiceDep
from askaudio.server.settings import ServerSettings

PERSON_HEADER = "X-Askaudio-Person"


def person_of(header: str, settings: ServerSettings) -> str:
    """The name in a request: percent-encoded, since headers are ASCII. It counts only where a token keeps others out.

    Args:
        header: Value of the header, or "".
        settings: Of the service.
    """
    return unquote(header) if settings.token is not None else ""


PersonHeader = Annotated[
    str,
    Header(alias=PERSON_HEADER, max_length=600, description="name of the person, percent-encoded; needs a token"),
]


async def _kept(service: ServiceDep, person: PersonHeader = "") -> Kept:
    return service.kept_files.kept(service.engine, person_of(person, service.settings))


KeptDep = Annotated[Kept, Depends(_kept)]
