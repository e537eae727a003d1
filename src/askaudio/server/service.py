"""State that the routes share: engine, limits, decoder, metrics. Made once by ``create_app``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from askaudio.search.engine import SearchEngine
from askaudio.search.hits import ClipInfo
from askaudio.server.decoder import Decoder
from askaudio.server.limits import Gate
from askaudio.server.metrics import Metrics
from askaudio.server.peaks import PeaksCache
from askaudio.server.settings import ServerSettings


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

    async def clip(self, clip_id: str) -> ClipInfo:
        """A stored clip by its id.

        Raises:
            UnknownClipError: No clip has this id (a 404).
        """
        return await self.searches.run(lambda: self.engine.clip(clip_id))


def make_service(engine: SearchEngine, settings: ServerSettings) -> Service:
    """Make the state of a service and register its metrics."""
    metrics = Metrics()
    decoder = Decoder(settings.decode_workers, settings.decode_timeout_s, settings.decode_memory_bytes)
    service = Service(
        engine=engine,
        settings=settings,
        metrics=metrics,
        searches=Gate(settings.max_running, settings.max_waiting, settings.wait_timeout_s),
        decodes=Gate(settings.decode_workers, settings.max_waiting, settings.wait_timeout_s),
        decoder=decoder,
        peaks=PeaksCache(decoder, settings.peaks_cache_entries),
    )
    metrics.watch("askaudio_searches_waiting", "Searches in line", lambda: service.searches.waiting)
    metrics.watch("askaudio_decodes_waiting", "Decoder jobs in line", lambda: service.decodes.waiting)
    metrics.watch("askaudio_busy_refusals", "Requests refused because a line was full or slow",
                  lambda: service.searches.refused + service.decodes.refused)  # fmt: skip
    metrics.watch("askaudio_peaks_kept", "Waveforms in memory", lambda: len(service.peaks))
    return service


async def _service(request: Request) -> Service:  # not async, FastAPI would send it through a thread: 2 ms a request
    return request.app.state.service


ServiceDep = Annotated[Service, Depends(_service)]
