"""Counts and times for Prometheus, one registry per service, so that two services in one process stay apart.

Labels are route patterns, methods and status codes: a bounded set, never a query, a path or an address.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_TIMES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The service's own figures."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "askaudio_http_requests", "Answered requests", ["route", "method", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "askaudio_http_request_seconds",
            "Time to answer, by route",
            ["route"],
            buckets=_TIMES_S,
            registry=self._registry,
        )
        self.in_flight = Gauge("askaudio_http_in_flight", "Requests being answered", registry=self._registry)
        self.searches = Counter("askaudio_searches", "Searches by kind", ["kind"], registry=self._registry)
        self.refused = Counter("askaudio_refused", "Requests refused by a limit", ["limit"], registry=self._registry)
        self.decodes = Counter("askaudio_decodes", "Jobs of the decoder process", ["result"], registry=self._registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is computed when the metrics are read.

        Args:
            name: Name of the metric, such as ``askaudio_peaks_kept``.
            text: Help text of the metric.
            value: Returns the current value; called without arguments.
        """
        Gauge(name, text, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All figures in Prometheus text format."""
        return generate_latest(self._registry)
