"""Refinement policies: when a base is encoded again, and what is done to the fresh rows.

An objective calls ``due(clock)`` after every step and every epoch. After a re-encoding it calls ``transform``, which
may change the fresh base (graph refinement does). The re-encoding itself is the caller's ``encode``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from askaudio.core.errors import ConfigError
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.refinement.graph import GraphAttention, fit_attention, propagate


@dataclass(frozen=True)
class Clock:
    """Progress of a training.

    Attributes:
        step: Steps ended so far.
        epoch: Epochs ended so far.
        refreshed_step: ``step`` at the last refresh.
        refreshed_epoch: ``epoch`` at the last refresh.
        epoch_end: Whether the call is at the end of an epoch; else it is at the end of a step.
        drift: Measures mean 1 - cosine between a sample of stored rows and fresh ones; costs an encoding of the sample.
    """

    step: int
    epoch: int
    refreshed_step: int
    refreshed_epoch: int
    epoch_end: bool
    drift: Callable[[], float]


class RefinementPolicy(Protocol):
    """What an objective needs to know of a policy; inherit from it to get the defaults.

    Attributes:
        needs_encode: The policy re-encodes the base, so the objective needs ``encode``.
        needs_neighbors: ``transform`` reads the neighbor graph: it is built at every refresh, and every process holds
            the whole base.
        in_parts: Number of parts in which the base is refreshed in place, one after each step; 0: as a whole.
        layer: Module whose weights belong to the objective's state; no gradient of the training reaches it.
    """

    needs_encode: bool = True
    needs_neighbors: bool = False
    in_parts: int = 0
    layer: nn.Module | None = None

    def due(self, clock: Clock) -> bool:
        """Whether the whole base is to be re-encoded now."""
        ...

    def transform(self, base: KnowledgeBase, rows: Tensor, weights: Tensor) -> KnowledgeBase:
        """Change a freshly encoded base; the default returns it unchanged.

        Args:
            base: N entries.
            rows: (N, K) neighbors of each entry; K may be 0 where ``needs_neighbors`` is False.
            weights: (N, K) weights of the neighbors; rows sum to 1, or to 0 without neighbors.
        """
        return base


class NeverRefine(RefinementPolicy):
    """A static base: the null model that shows what drift costs."""

    needs_encode = False

    def due(self, clock: Clock) -> bool:
        """Return False."""
        return False


class RefineEveryEpochs(RefinementPolicy):
    """Refresh at the end of every ``epochs``-th epoch, and more often in the first epoch.

    Args:
        epochs: Epochs between refreshes.
        early: Step of the first refresh within the first epoch; further refreshes follow whenever the number of steps
            has doubled. 0: none. Drift is fastest then: after some hundred steps a base of the untrained model points
            worse than none.
    """

    def __init__(self, epochs: int = 1, early: int = 0) -> None:
        self.epochs = _positive("epochs", epochs)
        if early < 0:
            raise ConfigError(f"early must not be negative, got {early}")
        self.early = early

    def due(self, clock: Clock) -> bool:
        """True at the end of an epoch when enough epochs have passed, and at the doublings of the first epoch."""
        if clock.epoch_end:
            return clock.epoch - clock.refreshed_epoch >= self.epochs
        return bool(self.early) and clock.epoch == 0 and clock.step >= max(self.early, 2 * clock.refreshed_step)


class RefineEverySteps(RefinementPolicy):
    """Refresh after every ``steps`` steps.

    Args:
        steps: Steps between refreshes.
    """

    def __init__(self, steps: int) -> None:
        self.steps = _positive("steps", steps)

    def due(self, clock: Clock) -> bool:
        """True at the end of a step when enough steps have passed."""
        return not clock.epoch_end and clock.step - clock.refreshed_step >= self.steps


class RefineInParts(RefinementPolicy):
    """Refresh a part of the base after every step, so that no step waits for the whole base.

    After step s the clips of part (s - 1) mod ``parts`` are encoded again, in place. A row is then at most ``parts``
    steps old and (parts - 1) / 2 on average, the same average age as with a refresh every ``parts`` steps. Prototypes
    move once a round, by one round of k-means that is summed up part by part. Neighbor lists (K > 0) are searched again
    at the end of a round, which takes as long as in a whole refresh: use K = 0 for a base of millions of entries.

    Args:
        parts: Steps of a round.
    """

    def __init__(self, parts: int) -> None:
        self.in_parts = _positive("parts", parts)

    def due(self, clock: Clock) -> bool:
        """Return False: the base is never refreshed as a whole."""
        return False


class RefineOnDrift(RefinementPolicy):
    """Refresh when a sample of stored rows has drifted past a threshold.

    Args:
        threshold: Largest mean 1 - cosine that is accepted.
        every_steps: Steps between two measurements; each costs the encoding of the sample.
    """

    def __init__(self, threshold: float = 0.05, every_steps: int = 50) -> None:
        if threshold <= 0:
            raise ConfigError(f"drift threshold must be above 0, got {threshold}")
        self.threshold = threshold
        self.every_steps = _positive("every_steps", every_steps)

    def due(self, clock: Clock) -> bool:
        """True at a measurement that finds more drift than the threshold."""
        measure = not clock.epoch_end and (clock.step - clock.refreshed_step) % self.every_steps == 0
        return measure and clock.step > clock.refreshed_step and clock.drift() > self.threshold


class GraphRefinement(RefinementPolicy):
    """After a re-encoding, pass messages over the base's neighbor graph; another policy decides when.

    Args:
        when: The policy that decides.
        alpha: Share of the neighbors' message, 0 (none) to 1.
        depth: Rounds of messages.
        layer: A learned attention layer of width 2 D instead of the parameter-free mean.
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
        if when.in_parts:
            raise ConfigError(
                "messages pass over a whole fresh base: RefineInParts cannot decide when; use RefineEverySteps"
            )
        if not 0.0 <= alpha <= 1.0:
            raise ConfigError(f"alpha must be in [0, 1], got {alpha}")
        self.when = when
        self.alpha = alpha
        self.depth = _positive("depth", depth)
        self.layer: GraphAttention | None = layer
        self.fit_steps = fit_steps

    def due(self, clock: Clock) -> bool:
        """Call the inner policy."""
        return self.when.due(clock)

    def transform(self, base: KnowledgeBase, rows: Tensor, weights: Tensor) -> KnowledgeBase:
        """Implement ``RefinementPolicy.transform``: pass ``depth`` rounds of messages over the neighbor graph."""
        if self.layer is not None:
            fit_attention(self.layer, base, rows, weights, steps=self.fit_steps, seed=base.version)
        return propagate(base, rows, weights, self.alpha, depth=self.depth, layer=self.layer)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ConfigError(f"{name} must be at least 1, got {value}")
    return value
