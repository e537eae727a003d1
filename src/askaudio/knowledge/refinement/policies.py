"""When a base is refreshed, and what is done to the fresh rows: small policies that an objective asks after each step.

A policy answers ``due(clock)`` after every step and every epoch, and may change the freshly encoded base in
``transform`` (graph refinement does). The re-encoding itself belongs to the caller's ``encode``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.refinement.graph import GraphAttention, fit_attention, propagate


@dataclass(frozen=True)
class Clock:
    """Where training stands.

    Attributes:
        step: Steps ended so far.
        epoch: Epochs ended so far.
        refreshed_step: ``step`` at the last refresh.
        refreshed_epoch: ``epoch`` at the last refresh.
        epoch_end: Asked at the end of an epoch (else of a step).
        drift: Measures mean 1 - cosine of a sample of stored rows against fresh ones; costs an encoding of the sample.
    """

    step: int
    epoch: int
    refreshed_step: int
    refreshed_epoch: int
    epoch_end: bool
    drift: Callable[[], float]


class RefinementPolicy(Protocol):
    """Decides when, and may change what was encoded."""

    def due(self, clock: Clock) -> bool:
        """Should the base be re-encoded now?"""
        ...

    def transform(self, base: KnowledgeBase, rows: Tensor, weights: Tensor) -> KnowledgeBase:
        """Change a freshly encoded base; (N, K) neighbor rows and weights are those of the fresh base."""
        ...


class _AsEncoded:
    needs_neighbors = False

    def transform(self, base: KnowledgeBase, rows: Tensor, weights: Tensor) -> KnowledgeBase:
        """The base as it was encoded."""
        return base


class NeverRefine(_AsEncoded):
    """A static base: the null model that shows what drift costs."""

    def due(self, clock: Clock) -> bool:
        """Never."""
        return False


class RefineEveryEpochs(_AsEncoded):
    """Refresh at the end of every ``epochs``-th epoch, and in the first one more often.

    Args:
        epochs: Epochs between refreshes.
        early: In the first epoch refresh also after so many steps, and each time these have doubled; 0: not. Drift is
            fastest then: after some hundred steps a base of the untrained model points worse than none.
    """

    def __init__(self, epochs: int = 1, early: int = 0) -> None:
        self.epochs = _positive("epochs", epochs)
        if early < 0:
            raise ConfigError(f"early must not be negative, got {early}")
        self.early = early

    def due(self, clock: Clock) -> bool:
        """At the end of an epoch, when enough epochs have passed, and at the doublings of the first."""
        if clock.epoch_end:
            return clock.epoch - clock.refreshed_epoch >= self.epochs
        return bool(self.early) and clock.epoch == 0 and clock.step >= max(self.early, 2 * clock.refreshed_step)


class RefineEverySteps(_AsEncoded):
    """Refresh after every ``steps`` steps; with ``first`` once more after so many steps, when drift is fastest."""

    def __init__(self, steps: int, first: int = 0) -> None:
        self.steps = _positive("steps", steps)
        self.first = first

    def due(self, clock: Clock) -> bool:
        """When enough steps have passed."""
        if clock.epoch_end:
            return False
        return clock.step == self.first or clock.step - clock.refreshed_step >= self.steps


class RefineInParts(_AsEncoded):
    """Refresh a part of the base after every step, so that no step waits for the whole: round after round.

    After step s the clips of part (s - 1) mod ``parts`` are encoded again, in place. A row is then at most ``parts``
    steps old, (parts - 1) / 2 on the mean at any time, as old as with a refresh at every ``parts``-th step, on the
    mean over time. Prototypes move once a round, by one round of k-means that is summed up part by part. Neighbor lists
    (K > 0) are found anew at the end of a round, which does wait: take K = 0 for a base in the millions.

    Args:
        parts: Steps of a round.
    """

    def __init__(self, parts: int) -> None:
        self.parts = _positive("parts", parts)

    def due(self, clock: Clock) -> bool:
        """Never the whole base at once."""
        return False


class RefineOnDrift(_AsEncoded):
    """Refresh when a sample of stored rows has drifted past a threshold.

    Args:
        threshold: Mean 1 - cosine that is too much.
        every_steps: Steps between two looks; a look costs the encoding of the sample.
    """

    def __init__(self, threshold: float = 0.05, every_steps: int = 50) -> None:
        if threshold <= 0:
            raise ConfigError(f"drift threshold must be above 0, got {threshold}")
        self.threshold = threshold
        self.every_steps = _positive("every_steps", every_steps)

    def due(self, clock: Clock) -> bool:
        """At every look at which drift is past the threshold."""
        look = not clock.epoch_end and (clock.step - clock.refreshed_step) % self.every_steps == 0
        return look and clock.step > clock.refreshed_step and clock.drift() > self.threshold


class GraphRefinement:
    """After the re-encoding, pass messages over the base's neighbor graph; another policy says when.

    Args:
        when: The policy that decides.
        alpha: Share of the neighbors' message, 0 (none) to 1.
        depth: Rounds of messages.
        layer: A learned attention layer instead of the parameter-free mean; of width 2 D.
        fit_steps: Steps by which the layer is trained on each fresh base before it is used.
    """

    needs_neighbors = True

    def __init__(
        self,
        when: RefinementPolicy,
        alpha: float = 0.2,
        depth: int = 1,
        layer: GraphAttention | None = None,
        fit_steps: int = 50,
    ) -> None:
        if isinstance(when, RefineInParts):
            raise ConfigError(
                "messages pass over a whole fresh base: RefineInParts cannot say when; take RefineEverySteps"
            )
        if not 0.0 <= alpha <= 1.0:
            raise ConfigError(f"alpha must be in [0, 1], got {alpha}")
        self.when = when
        self.alpha = alpha
        self.depth = _positive("depth", depth)
        self.layer = layer
        self.fit_steps = fit_steps

    def due(self, clock: Clock) -> bool:
        """When the inner policy says so."""
        return self.when.due(clock)

    def transform(self, base: KnowledgeBase, rows: Tensor, weights: Tensor) -> KnowledgeBase:
        """The base after ``depth`` rounds of messages over (N, K) neighbors with reliabilities in the weights."""
        if self.layer is not None:
            fit_attention(self.layer, base, rows, weights, self.fit_steps, seed=base.version)
        return propagate(base, rows, weights, self.alpha, self.depth, self.layer)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ConfigError(f"{name} must be at least 1, got {value}")
    return value
