"""Does batch size limit training on these pairs, and how often should a knowledge base be refreshed? A short trial.

Two small projections are trained on ready-made features with the plain loss, at the batch size in question. After
each epoch the locality meter says how far the plain loss at several batch sizes agrees with a contrast of all pairs
(fidelity), and how far a knowledge base of some age does (its embeddings stale, its pairs all there). Where the plain
loss has a fidelity near 1 there is nothing to gain; where it has not, the oldest base that still agrees with a fresh
one says how rarely a refresh will do.

Cost: 2,000 pairs of 384 numbers, 6 epochs at batch 24: 12 s of one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import Progress, silent
from askaudio.knowledge.locality import Locality, fidelity, full_contrast, measure_locality
from askaudio.knowledge.refinement.drift import row_drift
from askaudio.losses.ntxent import ntxent
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection

BATCH_SIZES = (8, 24, 128, 512)
AGES = (0.5, 1.0, 2.0)  # epochs that a base is old
LEAST_PAIRS = 64
ENOUGH, SLIGHT = 0.95, 0.8  # fidelity from which there is no bottleneck, and below which it is a strong one
STAYS = 0.98  # an old base is as good as a fresh one from this fidelity on
ROWS, MOST = 512, 24  # rows of batches measured for one number, and batches at most


@dataclass(frozen=True)
class AtBatchSize:
    """What the plain loss sees at one batch size after one epoch: see `knowledge/locality.py`."""

    epoch: int
    batch_size: int
    reach: float
    contributors: float
    fidelity: float


@dataclass(frozen=True)
class AtAge:
    """A base of some age against a fresh one after one epoch: fidelity, and mean 1 - cosine of its rows."""

    epoch: int
    age_epochs: float
    fidelity: float
    drift: float


@dataclass(frozen=True)
class Diagnosis:
    """What the trial measured.

    Attributes:
        pairs: N.
        batch_size: The one in question.
        epochs: How long the trial was.
        batches: For each epoch and batch size.
        ages: For each epoch and age of a base.
        losses: Mean training loss of each epoch.
    """

    pairs: int
    batch_size: int
    epochs: int
    batches: tuple[AtBatchSize, ...]
    ages: tuple[AtAge, ...]
    losses: tuple[float, ...]

    def plain(self, batch_size: int) -> float:
        """Mean fidelity of the plain loss over the trained epochs."""
        return _mean([b.fidelity for b in self.batches if b.batch_size == batch_size and b.epoch > 0])

    def aged(self, age_epochs: float) -> float:
        """Mean fidelity of a base of this age."""
        return _mean([a.fidelity for a in self.ages if a.age_epochs == age_epochs])

    @property
    def level(self) -> str:
        """Of the bottleneck: "none", "slight" or "strong"."""
        now = self.plain(self.batch_size)
        return "none" if now >= ENOUGH else "slight" if now >= SLIGHT else "strong"

    @property
    def refresh_epochs(self) -> float | None:
        """The longest refresh period whose base stays as good as a fresh one; None where even the shortest does not."""
        good = [age for age in AGES if any(a.age_epochs == age for a in self.ages) and self.aged(age) >= STAYS]
        return max(good, default=None)

    @property
    def faster_at_first(self) -> bool:
        """In the first epoch a base of the age that is good enough on the mean is not."""
        period = self.refresh_epochs
        return period is not None and any(
            a.epoch == 1 and a.age_epochs <= period and a.fidelity < STAYS for a in self.ages
        )


def diagnose(
    audio: Tensor,
    text: Tensor,
    batch_size: int = 64,
    *,
    epochs: int = 6,
    temperature: float = 0.07,
    embed_dim: int = 128,
    lr: float = 1e-3,
    seed: int = 0,
    progress: Progress = silent,
) -> Diagnosis:
    """Run the trial.

    Args:
        audio: (N, Da) features, one row a clip.
        text: (N, Dt) features of one caption of each clip.
        batch_size: The batch size in question; pairs.
        epochs: Length of the trial.
        temperature: Of the loss.
        embed_dim: D of the trained projections.
        lr: Learning rate (AdamW).
        seed: Same seed, same numbers.
        progress: Called after each epoch.

    Returns:
        What was measured.

    Raises:
        DataError: Fewer than 64 pairs, or sides of different length.
        ConfigError: A batch size below 2 or above N, or no epoch.
    """
    n = len(audio)
    if len(text) != n or n < LEAST_PAIRS:
        raise DataError(f"a diagnosis needs at least {LEAST_PAIRS} pairs, got {n} of audio and {len(text)} of text")
    if not 2 <= batch_size <= n or epochs < 1:
        raise ConfigError(f"needs a batch size from 2 to {n} pairs and 1 epoch or more, got {batch_size} and {epochs}")
    trial = _Trial(audio.float(), text.float(), batch_size, temperature, embed_dim, lr, seed)
    sizes = sorted({batch_size, *(size for size in BATCH_SIZES if size <= n)})
    batches, ages, losses = trial.at_sizes(0, sizes), [], []
    progress(0, epochs, "before training")
    for epoch in range(1, epochs + 1):
        losses.append(trial.train_epoch())
        batches += trial.at_sizes(epoch, sizes)
        ages += trial.at_ages(epoch)
        progress(epoch, epochs, f"loss {losses[-1]:.3f}")
    return Diagnosis(n, batch_size, epochs, tuple(batches), tuple(ages), tuple(losses))


class _Trial:
    """Projections in training, and the tables of every half epoch."""

    def __init__(
        self, audio: Tensor, text: Tensor, batch_size: int, temperature: float, embed_dim: int, lr: float, seed: int
    ) -> None:
        self.audio, self.text = audio, text
        self.batch_size, self.temperature = batch_size, temperature
        self.random = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            of_audio, of_text = (Projection(x.shape[1], embed_dim, 256, 0.0, residual=True) for x in (audio, text))
        of_audio.standardise(audio)
        of_text.standardise(text)
        self.model = DualEncoder(of_audio, of_text, temperature=temperature, learn_temperature=False)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr, weight_decay=0.01)
        self.past: list[tuple[Tensor, Tensor]] = [self.tables()]  # of every half epoch, newest last

    @torch.no_grad()
    def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of rows (n,): (n, D), (n, D)."""
        return self.model.encode_audio(self.audio[rows]), self.model.encode_text(self.text[rows])

    def tables(self) -> tuple[Tensor, Tensor]:
        """Embeddings of all pairs."""
        return self.encode(torch.arange(len(self.audio)))

    def train_epoch(self) -> float:
        """One epoch of the plain loss, with the tables kept at half time and at the end; its mean loss."""
        order = torch.randperm(len(self.audio), generator=self.random)
        steps = [rows for rows in order.split(self.batch_size) if len(rows) > 1]
        total = 0.0
        for number, rows in enumerate(steps, start=1):
            loss = self.plain(self.model.encode_audio(self.audio[rows]), self.model.encode_text(self.text[rows]))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += float(loss.detach())
            if number == len(steps) // 2:
                self.past.append(self.tables())
        if len(steps) == 1:  # one step has no half: the beginning of the epoch is used
            self.past.append(self.past[-1])
        self.past = [*self.past, self.tables()][-1 - int(2 * max(AGES)) :]
        return total / len(steps)

    def plain(self, audio: Tensor, text: Tensor) -> Tensor:
        """The loss of a batch (B, D), (B, D)."""
        return ntxent(audio, text, self.temperature)

    def at_sizes(self, epoch: int, sizes: list[int]) -> list[AtBatchSize]:
        """The plain loss at several batch sizes, with the model as it is now."""
        audio, text = self.past[-1]
        found = []
        for size in sizes:
            seen = [
                measure_locality(self.plain, audio[rows], text[rows], rows, audio, text, self.temperature)
                for rows in self._batches(size)
            ]
            reach, contributors, agrees = (_mean([getattr(one, name) for one in seen]) for name in _NUMBERS)
            found.append(AtBatchSize(epoch, size, reach, contributors, agrees))
        return found

    def at_ages(self, epoch: int) -> list[AtAge]:
        """Bases of every age that the trial is old enough for, with the model as it is now."""
        audio, text = self.past[-1]
        found = []
        for age in AGES:
            if 2 * age >= len(self.past):
                continue
            old_audio, old_text = self.past[-1 - int(2 * age)]
            agrees = [
                self._fidelity_of_base(rows, old_audio, old_text) for rows in self._batches(min(64, len(audio)))
            ]  # fmt: skip
            drift = float(torch.cat([row_drift(old_audio, audio), row_drift(old_text, text)]).mean())
            found.append(AtAge(epoch, age, _mean(agrees), drift))
        return found

    def _fidelity_of_base(self, rows: Tensor, old_audio: Tensor, old_text: Tensor) -> float:
        def stale(audio: Tensor, text: Tensor) -> Tensor:
            return full_contrast(audio, text, rows, old_audio, old_text, self.temperature)

        audio, text = self.past[-1]
        return fidelity(stale, audio[rows], text[rows], rows, audio, text, self.temperature)

    def _batches(self, size: int) -> list[Tensor]:
        """Random batches of some ``ROWS`` rows in all, 2 to ``MOST`` of them; always the same ones for a size."""
        random = torch.Generator().manual_seed(size)
        count = min(MOST, max(2, ROWS // size))
        return [torch.randperm(len(self.audio), generator=random)[:size] for _ in range(count)]


_NUMBERS = tuple(Locality.__dataclass_fields__)  # reach, contributors, fidelity


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
