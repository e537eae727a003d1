"""State that the routes share: engine, limits, decoder, metrics. Made once by ``create_app``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, Query, Request

from askaudio.ingest.roots import recorded_roots
from askaudio.search.engine import SearchEngine
from askaudio.search.hits import ClipInfo
from askaudio.search.pages import ResultPages
from askaudio.server.clip_files import ClipFile, open_clip
from askaudio.server.decoder import Decoder
from askaudio.server.kept_files import KeptFiles
from askaudio.server.limits import Gate
from askaudio.server.metrics import Metrics
from askaudio.server.peaks import PeaksCache
from askaudio.server.playable import PlayableCache
from askaudio.server.problems import Problem
from askaudio.server.settings import ServerSettings

_EXPORTS = 4  # archives that are sent at the same time; each may take as long as its client reads


@dataclass(frozen=True, slots=True)
class Service:
    """One running service."""

    engine: SearchEngine
    settings: ServerSettings
    metrics: Metrics
    searches: Gate
    decodes: Gate
    decoder: Decoder
    peaks: PeaksCache
    playable: PlayableCache
    pages: ResultPages
    exports: Gate
    kept_files: KeptFiles

    async def clip(self, clip_id: str) -> ClipInfo:
        """A stored clip by its id.

        Raises:
            UnknownClipError: No clip has this id (a 404).
        """
        return await self.searches.run(lambda: self.engine.clip(clip_id))

    async def open_clip(self, clip_id: str) -> ClipFile:
        """The open file of a stored clip; the caller closes it.

        Raises:
            UnknownClipError: No clip has this id (a 404).
            Problem: 404 when the file may not be served.
        """
        found = await self.clip(clip_id)
        return await anyio.to_thread.run_sync(lambda: open_clip(found, self.folders()))

    def folders(self) -> list[str]:
        """Real paths of the folders that may be served. Read each time: indexing elsewhere may add one."""
        recorded = recorded_roots(self.engine.store.url)
        allowed = map(Path, self.settings.allowed_folders)
        return [os.path.realpath(folder) for folder in (*recorded, *allowed)]


def make_services(engines: Mapping[str, SearchEngine], settings: ServerSettings) -> dict[str, Service]:
    """Make the state of a service for each collection; limits, decoder and caches are shared.

    Args:
        engines: By the name of the collection, at least one.
        settings: Of the whole service.
    """
    first = _make_service(next(iter(engines.values())), settings)
    return {
        name: first if n == 0 else replace(first, engine=engine, pages=ResultPages())
        for n, (name, engine) in enumerate(engines.items())
    }


def _make_service(engine: SearchEngine, settings: ServerSettings) -> Service:
    metrics = Metrics()
    decoder = Decoder(settings.decode_workers, settings.decode_timeout_s, settings.decode_memory_bytes)
    service = Service(
        engine=engine,
        settings=settings,
        metrics=metrics,
        searches=Gate(settings.max_running, settings.max_waiting, settings.wait_timeout_s),
        decodes=Gate(settings.decode_workers, settings.max_waiting, settings.wait_timeout_s),
        decoder=decoder,
        peaks=PeaksCache(decoder, settings.peaks_cache_bytes),
        playable=PlayableCache(decoder, settings.play_cache_bytes),
        pages=ResultPages(),
        exports=Gate(_EXPORTS, settings.max_waiting, settings.wait_timeout_s),
        kept_files=KeptFiles(),
    )
    metrics.watch("askaudio_searches_waiting", "Searches in line", lambda: service.searches.waiting)
    metrics.watch("askaudio_decodes_waiting", "Decoder jobs in line", lambda: service.decodes.waiting)
    metrics.watch("askaudio_busy_refusals", "Requests refused because a line was full or slow",
                  lambda: service.searches.refused + service.decodes.refused)  # fmt: skip
    metrics.watch("askaudio_peaks_kept_bytes", "Memory of the waveforms", lambda: service.peaks.size_bytes)
    metrics.watch("askaudio_peaks_kept", "Waveforms in memory", lambda: len(service.peaks))
    return service


_Collection = Annotated[str, Query(max_length=200, description="which collection; without a name, the first")]


# not async, FastAPI would send it through a thread: 2 ms a request
async def _service(request: Request, collection: _Collection = "") -> Service:
    services: dict[str, Service] = request.app.state.services
    found = services.get(collection) if collection else next(iter(services.values()))
    if found is None:
        raise Problem(404, f"This server has no collection of this name; it has: {', '.join(services)}.")
    return found


ServiceDep = Annotated[Service, Depends(_service)]
