"""A phrase table and recordings of a few tones, noises and clicks."""

import numpy as np
import pytest
import soundfile

from askaudio.data.manifest import Caption, Clip, Manifest
from mixed_scenes import RATE

TABLE = """
tone:
  label: [tone]
  nouns: [a tone, a steady tone]
  clauses: [a tone sounds, a tone is heard]
noise:
  text: ['some noise.*']
  nouns: [noise, a hiss]
  clauses: [noise hisses, something hisses]
click:
  text: ['click [0-9]+']
  nouns: [a click, a short click]
  clauses: [something clicks, a click is heard]
rare:
  label: [rare]
  nouns: [a rarity, a rare sound]
  clauses: [something rare sounds, a rarity sounds]
"""


@pytest.fixture
def phrases(tmp_path):
    path = tmp_path / "phrases.yaml"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture
def recordings(tmp_path):
    """Three classes with 6 groups of two recordings each, one class with too few groups."""
    rng, clips = np.random.default_rng(0), []
    for label, text, seconds in (("tone", "A tone", 1.5), ("", "Some noise here", 14.0), ("", "click 5", 0.2)):
        for k in range(12):
            clips.append(
                _recording(tmp_path, rng, f"{label or text[:4].strip()}-{k}", label, text, seconds, f"g{text}{k // 2}")
            )
    clips.append(_recording(tmp_path, rng, "rare-0", "rare", "rare", 1.0, "rare"))
    return Manifest("recordings", tuple(clips))


def _recording(folder, rng, name, label, text, seconds, group):
    path = folder / f"{name}.wav"
    t = np.arange(int(seconds * RATE)) / RATE
    x = 0.3 * np.sin(2 * np.pi * rng.uniform(300, 900) * t) if label == "tone" else 0.1 * rng.standard_normal(len(t))
    soundfile.write(path, np.concatenate([np.zeros(RATE // 4), x]), RATE)
    licence = "CC BY-NC" if name.endswith("-11") else "CC0"
    return Clip(name, str(path), (Caption(f"{name}#0", text),), group=group, label=label, licence=licence)
