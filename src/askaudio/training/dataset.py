"""Pairs of a clip and one of its captions, as arrays that a dual encoder takes; every draw depends on (seed, epoch).

Features are computed before training (``cache.py``), so an item is two array look-ups; or sounds are decoded when an
item is made (``training/stream.py``). Nothing here keeps a generator running: the draws of an epoch are made when the
epoch is set, so a resumed run draws what the first one would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import DataError
from askaudio.core.types import FloatArray, IntArray
from askaudio.data.manifest import Clip, Manifest
from askaudio.training.stream import Sound

Array = npt.NDArray[Any]
Captions = Literal["one", "all"]
Windows = Literal["random", "mean"]
LOUDEST_DB = 6.0  # of a mixture: by how much one clip may be louder than the other


@dataclass(frozen=True, slots=True)
class Pair:
    """One item of a batch.

    Attributes:
        clip_id: Id of the clip.
        caption_id: Id of its caption.
        audio: What the audio tower takes, for one window.
        text: What the text tower takes.
        entry: Number of the (clip, caption) pair among all pairs of the data set: its row in a knowledge base.
        identity: Number of what the clip shows; equal numbers belong together in a batch.
        near: (R, ...) what the text tower takes for the caption's near misses, then for the caption itself; or None.
        n_near: Number of its near misses.
    """

    clip_id: str
    caption_id: str
    audio: Array
    text: Array
    entry: int
    identity: int
    near: Array | None = None
    n_near: int = 0


class PairDataset:
    """Clips with captions of one split.

    Args:
        manifest: M clips, each with at least one caption.
        audio: M arrays (W_i, ...): what the audio tower takes, for each of the clip's W_i windows; or M sounds that are
            decoded on demand.
        texts: (U, ...) what the text tower takes, for each wording.
        wordings: For each clip, for each caption, the rows of ``texts`` that may be used for it: its own first, then
            variants (the caption in a prompt, say), of which one is drawn each time.
        captions: ``"one"``: an epoch has M pairs, a clip with several captions draws one; ``"all"``: an epoch has
            every pair.
        windows: ``"random"``: one window of a long clip is drawn; ``"mean"``: the mean over its windows.
        same_text: Clips with the same captions (all of them, in any order) have one identity.
        near: For each clip, for each caption, the rows of ``texts`` that are its near misses; None: without.
        seed: Of all draws.
        mix: Share of the pairs whose sound is mixed with another clip's, for sounds that are decoded on demand.
        tokens: Text -> row of token ids, for the joined captions of mixed sounds.

    Raises:
        DataError: A clip without a caption or without a window, or lengths that do not fit.
    """

    def __init__(
        self,
        manifest: Manifest,
        audio: Sequence[Array] | Sequence[Sound],
        texts: FloatArray,
        wordings: Sequence[Sequence[Sequence[int]]],
        *,
        captions: Captions = "one",
        windows: Windows = "random",
        same_text: bool = True,
        near: Sequence[Sequence[Sequence[int]]] | None = None,
        seed: int = 0,
        mix: float = 0.0,
        tokens: Callable[[str], Array] | None = None,
    ) -> None:
        _check(manifest, audio, wordings)
        self.clips: tuple[Clip, ...] = manifest.clips
        self.audio: list[Any] = list(audio)
        if windows == "mean":
            self.audio = [a.mean(axis=0, keepdims=True) for a in self.audio]
        self.mix, self.tokens = mix, tokens
        self.texts = texts
        self.wordings = wordings
        self.near = near
        self._n_near = max((len(rows) for captions in near or () for rows in captions), default=0)
        self.captions = captions
        self.seed = seed
        self.identities = _identities(wordings, same_text)
        self._n_captions = np.array([len(c.captions) for c in self.clips])
        self._first_entry = np.concatenate([[0], np.cumsum(self._n_captions)[:-1]])
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw captions, wordings and windows for an epoch; the same epoch always draws the same."""
        rng = np.random.default_rng([self.seed, epoch])
        if self.captions == "one":
            self._clip = np.arange(len(self.clips))
            self._caption = rng.integers(self._n_captions)  # (M,)
        else:
            self._clip = np.repeat(np.arange(len(self.clips)), self._n_captions)
            self._caption = np.arange(len(self._clip)) - self._first_entry[self._clip]
        self._window_draw = rng.random(len(self._clip))
        self._wording_draw = rng.random(len(self._clip))
        self._mix_draw = rng.random((len(self._clip), 3)) if self.mix else None  # whether, with which clip, how loud

    def __len__(self) -> int:
        return len(self._clip)

    @property
    def clip_rows(self) -> IntArray:
        """(len,) row of each item's clip: the sampler keeps one clip's pairs out of each other's batch."""
        return self._clip

    @property
    def n_entries(self) -> int:
        """Number of (clip, caption) pairs, drawn this epoch or not."""
        return int(self._n_captions.sum())

    @property
    def entry_clips(self) -> IntArray:
        """(n_entries,) row of each pair's clip."""
        return np.repeat(np.arange(len(self.clips)), self._n_captions)

    def entry_texts(self) -> FloatArray:
        """(n_entries, ...) what the text tower takes for each pair's own wording."""
        return self.texts[[rows[0] for captions in self.wordings for rows in captions]]

    def __getitem__(self, index: int) -> Pair:
        row, k = int(self._clip[index]), int(self._caption[index])
        clip, windows, rows = self.clips[row], self.audio[row], self.wordings[row][k]
        near, n_near = self._near_of(row, k)
        draw = float(self._window_draw[index])
        if isinstance(windows, Sound):
            audio, text = self._decoded(index, row, k)
        else:
            audio, text = windows[int(draw * len(windows))], None
        return Pair(
            clip_id=clip.clip_id,
            caption_id=clip.captions[k].caption_id,
            audio=audio,
            text=self.texts[rows[int(self._wording_draw[index] * len(rows))]] if text is None else text,
            entry=int(self._first_entry[row]) + k,
            identity=int(self.identities[row]),
            near=near,
            n_near=n_near,
        )

    def _near_of(self, row: int, k: int) -> tuple[Array | None, int]:
        """Near misses of a caption, padded by the caption to as many as any has, for exchange between processes."""
        if self.near is None or not self._n_near:
            return None, 0
        rows = list(self.near[row][k])
        own = self.wordings[row][k][0]
        return self.texts[rows + [own] * (self._n_near - len(rows))], len(rows)

    def _decoded(self, index: int, row: int, caption: int) -> tuple[Array, Array | None]:
        """A random window of a sound, alone, or mixed with that of another clip and with a caption of both."""
        sound, place = self.audio[row], float(self._window_draw[index])
        if self._mix_draw is None or self._mix_draw[index, 0] >= self.mix or len(self.clips) < 2:
            return sound.window(place), None
        assert self.tokens is not None  # the recipe's check: mixing needs a trained text tower
        _, which, loud = self._mix_draw[index]
        other = (row + 1 + int(which * (len(self.clips) - 1))) % len(self.clips)
        text = f"{self.clips[row].captions[caption].text} and {self.clips[other].captions[0].text}"
        return sound.mixed(place, self.audio[other], LOUDEST_DB * (2 * float(loud) - 1)), self.tokens(text)

    def __getitems__(self, indices: Sequence[int]) -> list[Pair]:
        """A whole batch at once, as torch's loader asks for it."""
        return [self[i] for i in indices]


def _identities(wordings: Sequence[Sequence[Sequence[int]]], same_text: bool) -> IntArray:
    """(M,) number of each clip's identity: the first clip with the same captions, or the clip itself."""
    if not same_text:
        return np.arange(len(wordings))
    first: dict[tuple[int, ...], int] = {}
    own = (tuple(sorted(rows[0] for rows in captions)) for captions in wordings)
    return np.array([first.setdefault(key, row) for row, key in enumerate(own)], dtype=np.int64)


def _check(manifest: Manifest, audio: Sequence[Any], wordings: Sequence[Sequence[Sequence[int]]]) -> None:
    if not len(manifest) == len(audio) == len(wordings):
        raise DataError(
            f"{manifest.name}: {len(manifest)} clips, {len(audio)} sounds and {len(wordings)} lists of wordings; "
            "there must be one of each for every clip"
        )
    if not len(manifest):
        raise DataError(f"{manifest.name} is empty; give its clips a split, or split by group: data.split=group")
    for clip, windows, rows in zip(manifest, audio, wordings, strict=True):
        if not clip.captions or len(rows) != len(clip.captions):
            raise DataError(f"{manifest.name}: clip {clip.clip_id!r} has no caption to train on")
        if not len(windows):
            raise DataError(f"{manifest.name}: clip {clip.clip_id!r} ({clip.path}) has no sound in it")
