"""The figure of ``askaudio diagnose``: fidelity by batch size, and by the age of a base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.core.errors import ConfigError
from askaudio.core.extras import require

if TYPE_CHECKING:
    from askaudio.training.diagnose import Diagnosis

_SUFFIXES = (".png", ".svg", ".pdf")
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00")  # that colour-blind readers can tell apart


def check_figure(path: str) -> None:
    """Refuse what cannot be drawn before any work is done.

    Raises:
        ConfigError: Another ending than .png, .svg or .pdf.
        MissingExtraError: matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"{path}: a figure's name must end in one of {', '.join(_SUFFIXES)}")
    require("matplotlib", "figures")


def draw_diagnosis(found: Diagnosis, path: str) -> None:
    """Two panels to a PNG, SVG or PDF file."""
    from matplotlib.figure import Figure

    from askaudio.core.files import atomic_path

    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    sizes = sorted({b.batch_size for b in found.batches})
    for epoch, colour in zip(sorted({0, 1, found.epochs}), _COLOURS, strict=False):
        value = [b.fidelity for size in sizes for b in found.batches if (b.batch_size, b.epoch) == (size, epoch)]
        left.plot(sizes, value, "o-", color=colour, label=f"after epoch {epoch}" if epoch else "before training")
    left.axvline(found.batch_size, color="grey", lw=1, ls=":")
    left.set(xscale="log", xticks=sizes, xticklabels=sizes, xlabel="batch size", title="plain loss against all pairs")
    left.minorticks_off()
    for age, colour in zip(sorted({a.age_epochs for a in found.ages}), _COLOURS, strict=False):
        rows = [a for a in found.ages if a.age_epochs == age]
        epochs, value = [a.epoch for a in rows], [a.fidelity for a in rows]
        right.plot(epochs, value, "o-", color=colour, label=f"{age:g} epochs old")
    right.set(xlabel="epoch of the trial", title="an old knowledge base against a fresh one")
    for panel in (left, right):
        panel.set(ylabel="fidelity", ylim=(0, 1.04))
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=8)
    figure.supxlabel(f"{found.pairs:,} pairs, trained at batch size {found.batch_size}", fontsize=7, color="grey")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:].lower(), dpi=150)
