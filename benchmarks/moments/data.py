"""The sounds of the benchmark of moments: real recordings by class, divided by group of recordings.

Groups are divided as for the shipped models (``split_by_group`` with seed 0), so their test groups are unknown to them.
urbansound8k, which no shipped model was trained on, is divided in the same way.
"""

from __future__ import annotations

from pathlib import Path

from askaudio.core.types import Split
from askaudio.data.manifest import Manifest, read_manifest, split_by_group
from askaudio.scenes.long_recordings import LongSource
from askaudio.scenes.phrases import read_phrases, sort_recordings

MANIFEST = Path(__file__).resolve().parents[3] / "shared/data/sounds/manifest.jsonl"

# classes that are events; steady backgrounds and sounds of user interfaces are left out
EVENTS = (
    "dog", "siren", "car horn", "gunshot", "drilling", "jackhammer", "blender", "juicer", "chopping food", "cutlery",
    "book pages", "sweeping", "microwave oven", "clock", "train", "helicopter", "jet plane", "racing engine", "steam",
    "ship horn", "thunder", "splash", "bubbles", "cow", "sheep", "galloping hooves", "pig", "chicken", "crow",
    "songbird", "elephant", "lion", "frog", "crickets", "bees", "wolf", "cheering crowd", "door opening",
    "door closing", "breaking glass", "metal clang", "hammering", "wood chopping", "explosion", "sword", "laser",
    "alarm", "bell", "telephone", "piano", "footsteps on wood", "footsteps on gravel", "camera shutter", "coins",
)  # fmt: skip
# ambience -> classes that it may contain
AMBIENCES = {
    "places/cafe": ("cutlery", "plates", "coins", "telephone"), "places/church": ("bell", "footsteps on wood"),
    "places/crowded-bar": ("cutlery", "cheering crowd", "breaking glass"), "places/laboratory": ("alarm",),
    "places/laundry-room": ("blender",), "places/library": ("book pages", "footsteps on wood", "door closing"),
    "places/night-village": ("crickets", "dog", "frog"), "places/office": ("telephone", "book pages"),
    "places/restaurant": ("cutlery",), "places/supermarket": ("cutlery", "coins", "alarm"),
    "places/underwater": ("bubbles", "splash"), "places/carousel": ("piano", "bell"),
    "urban/busy-street": ("car horn", "siren"), "urban/highway": ("car horn", "racing engine"),
    "urban/road": ("car horn", "racing engine"), "urban/traffic": ("car horn", "racing engine", "siren"),
    "noise/brown-noise": (), "noise/pink-noise": (), "nature/howling-wind": ("wolf",), "nature/river": ("splash",),
    "nature/waves": ("splash", "thunder"), "nature/wind": (), "nature/wind-in-trees": ("songbird",),
    "transport/inside-a-train": ("train",), "transport/sailboat": ("splash",), "transport/submarine": ("bubbles",),
    "rain/heavy-rain": ("thunder",), "rain/light-rain": ("thunder",), "rain/rain-on-tent": ("thunder",),
    "rain/rain-on-window": ("thunder",), "things/ceiling-fan": (), "things/dryer": ("jet plane",),
}  # fmt: skip


def divided(manifest: Path | str = MANIFEST) -> Manifest:
    """All recordings with their splits."""
    whole = read_manifest(manifest)
    street = split_by_group(whole.where("urbansound8k" in clip.clip_id for clip in whole))
    rest = split_by_group(whole.where("urbansound8k" not in clip.clip_id for clip in whole))
    return Manifest("sounds", (*rest.clips, *street.clips))


def source_of(split: Split, manifest: Path | str = MANIFEST) -> LongSource:
    """Sounds and ambiences of a split."""
    part = divided(manifest).split(split)
    classes = read_phrases()
    found = sort_recordings(part, classes)
    ambiences = {f"moodist/{name}": frozenset(conflicts) for name, conflicts in AMBIENCES.items()}
    return LongSource(
        classes={name: found[name] for name in EVENTS if found[name]},
        phrases={c.name: (c.name, *c.wording.nouns, *c.wording.clauses) for c in classes},
        ambiences=[clip for clip in part if clip.clip_id in ambiences],
        conflicts=ambiences,
    )
