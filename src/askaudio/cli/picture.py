"""Spectrograms of search hits as one picture, for ``askaudio search --picture``; needs the extra ``figures``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from askaudio.core.errors import AudioDecodeError, ConfigError
from askaudio.core.extras import require

if TYPE_CHECKING:
    from askaudio.search.hits import Hit

_RATE_HZ = 32_000
_COLUMNS = 5


def draw_hits(hits: list[Hit], target: Path, title: str) -> None:
    """Draw the best segment of each hit.

    Args:
        hits: What was found.
        target: PNG, PDF or SVG file.
        title: The query.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: Nothing to draw, or the picture cannot be written.
    """
    require("matplotlib", "figures")
    from matplotlib.figure import Figure

    if not hits:
        raise ConfigError("there are no hits to draw")
    rows = -(-len(hits) // _COLUMNS)
    columns = min(_COLUMNS, len(hits))
    figure = Figure(figsize=(3.0 * columns, 2.3 * rows + 0.5), layout="constrained")
    for axes, hit in zip(figure.subplots(rows, columns, squeeze=False).flat, hits, strict=False):
        _draw(axes, hit)
    for axes in list(figure.axes)[len(hits) :]:
        axes.set_axis_off()
    figure.suptitle(title)
    try:
        figure.savefig(target, dpi=110)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot draw {target}: {error}") from error


def _draw(axes: Any, hit: Hit) -> None:
    import numpy as np

    from askaudio.audio.decode import decode

    axes.set_title(f"{hit.rank}. {Path(hit.path).name[:28]}\nmatch {hit.match:.0f}", fontsize=8)
    try:
        samples = decode(hit.path, _RATE_HZ)
    except AudioDecodeError as error:
        axes.text(0.5, 0.5, error.reason[:40], ha="center", fontsize=7)
        return
    piece = samples[round(hit.start_s * _RATE_HZ) : round(hit.end_s * _RATE_HZ)]
    piece = np.pad(piece, (0, max(0, 1024 - len(piece))))
    frames = np.lib.stride_tricks.sliding_window_view(piece, 1024)[::256] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    level_db = 10 * np.log10(power / max(float(power.max()), 1e-12) + 1e-8)
    extent = (hit.start_s, hit.end_s, 0, _RATE_HZ / 2000)
    axes.imshow(level_db.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-80)
    axes.tick_params(labelsize=6)
    axes.set_xlabel("s", fontsize=6)
    axes.set_ylabel("kHz", fontsize=6)
