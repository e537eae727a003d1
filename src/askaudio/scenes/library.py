"""Many scenes from one source: an iterator of scenes with nothing written; ``write`` stores them as a folder.

Cost on one core: about 15 ms a ten-second scene of recordings, mostly decoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.files import fingerprint
from askaudio.core.types import Json, Progress, silent
from askaudio.data.manifest import Manifest
from askaudio.scenes.attributes import with_attributes
from askaudio.scenes.compose import SceneSettings, make_scene
from askaudio.scenes.event import Scene, events_of
from askaudio.scenes.kinds.registry import KINDS
from askaudio.scenes.parallel import in_order
from askaudio.scenes.phrases import read_phrases
from askaudio.scenes.recorded import RecordedSource, drop_sources
from askaudio.scenes.source import PARTS, Part, SoundSource
from askaudio.scenes.synthesised import SynthesisedSource
from askaudio.scenes.wording import Wording

BENCHMARK_CLASSES = 121


@dataclass(frozen=True)
class SceneSet:
    """Scenes that can be made one by one, in any order and in any process; iterating makes them all.

    Args:
        source: Where the sounds come from.
        settings: What a scene looks like.
        counts: Part -> number of scenes.

    Raises:
        ConfigError: Unknown part, negative count, or no scene at all.
    """

    source: SoundSource
    settings: SceneSettings
    counts: Mapping[Part, int]

    def __post_init__(self) -> None:
        wrong = [part for part, n in self.counts.items() if part not in PARTS or n < 0]
        if wrong or not sum(self.counts.values()):
            raise ConfigError(f"counts must give a number of scenes for {', '.join(PARTS)}, got {dict(self.counts)}")

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __iter__(self) -> Iterator[Scene]:
        return self.render()

    @property
    def indices(self) -> list[tuple[Part, int]]:
        """(part, index) of each scene, in order."""
        return [(part, k) for part in PARTS for k in range(self.counts.get(part, 0))]

    def scene(self, part: Part, index: int) -> Scene:
        """One scene; it does not depend on the counts."""
        return make_scene(self.source, self.settings, part, index)

    def render(self, workers: int = 1, progress: Progress = silent) -> Iterator[Scene]:
        """All scenes in order; nothing is written. The number of processes does not change the result."""
        return in_order(self._of_index, self.indices, workers, progress)

    def about(self) -> Json:
        """Everything but the counts, as JSON; equal descriptions make equal scenes."""
        about: Json = {"settings": asdict(self.settings), "source": self.source.describe()}
        return {**about, "fingerprint": fingerprint(about)}

    def _of_index(self, index: tuple[Part, int]) -> Scene:
        return self.scene(*index)


def recorded_scenes(
    manifest: Manifest,
    counts: Mapping[Part, int],
    *,
    phrases: Path | str | None = None,
    n_classes: int | None = BENCHMARK_CLASSES,
    exclude: Sequence[str] = (),
    external_share: float = 0.0,
    attributes: bool = False,
    **settings: Any,
) -> SceneSet:
    """Scenes mixed from real recordings; parts never share a group of recordings.

    Args:
        manifest: The recordings, with ``group``, ``label`` and a first caption (a title or file name).
        counts: Part -> number of scenes, such as ``{"train": 7000, "val": 600, "test": 1200}``.
        phrases: Phrase table (YAML); None is the one that is shipped.
        n_classes: Number of classes, those with most groups of recordings; None takes all.
        exclude: Leave out recordings whose id, source or licence holds one of these words.
        external_share: Share of each class's groups kept for "external" scenes, used by no other part.
        attributes: Make sounds quiet or loud, near or far, and count short ones; captions may name it.
        **settings: Fields of ``SceneSettings``: seed, zipf, duration_s, ...

    Raises:
        DataError: The manifest and the table do not fit, or the table is faulty.
        ConfigError: A setting is out of range.
    """
    scene_settings = SceneSettings(**settings)
    if not 0 <= external_share <= 0.5:
        raise ConfigError(f"external_share must be between 0 and 0.5, got {external_share}")
    if counts.get("external") and not external_share:
        raise ConfigError("external scenes need external_share above 0: the recordings that are kept for them")
    recordings = drop_sources(manifest, exclude)
    source = RecordedSource(
        recordings, read_phrases(phrases), n_classes, external_share, scene_settings.seed, attributes
    )
    return SceneSet(source, scene_settings, counts)


def synthesised_scenes(counts: Mapping[Part, int], *, kinds: Sequence[str] | None = None, **settings: Any) -> SceneSet:
    """Scenes of synthesised sound: nothing is read, every attribute is known.

    Args:
        counts: Part -> number of scenes.
        kinds: Names of the kinds to use; None takes all.
        **settings: Fields of ``SceneSettings``: seed, zipf, duration_s, ...

    Raises:
        ConfigError: A setting is out of range or a kind is not known.
    """
    scene_settings = SceneSettings(**settings)
    return SceneSet(SynthesisedSource(kinds, scene_settings.seed), scene_settings, counts)


def wordings_of(manifest: Manifest, phrases: Path | str | None = None) -> dict[str, Wording]:
    """Label -> phrases of the scenes of a manifest: those of the kinds if synthesised, else of the phrase table.

    Raises:
        DataError: A clip is no generated scene, or has a label without phrases.
    """
    events = [event for clip in manifest for event in events_of(clip)[0]]
    if any(event.recording for event in events):
        known = {c.name: c.wording for c in read_phrases(phrases)}
        if any(event.attributes for event in events):
            known = {name: with_attributes(wording) for name, wording in known.items()}
    else:
        known = {name: kind.wording for name, kind in KINDS.items()}
    labels = {event.label for event in events}
    if labels - set(known):
        raise DataError(
            f"no phrases for {sorted(labels - set(known))}; give the phrase table the scenes were made with"
        )
    return {label: known[label] for label in sorted(labels)}
