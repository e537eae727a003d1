"""Small corpora in their official layouts, with real (synthesised) audio, for tests of readers and recipes."""

import csv
import itertools
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000
SPLITS = ("train", "val", "test")
SUBSETS = {"train": "development", "val": "validation", "test": "evaluation"}
SOUNDS = {
    "low hum": 110.0,
    "deep buzz": 220.0,
    "steady tone": 440.0,
    "clear beep": 880.0,
    "high whistle": 1760.0,
    "shrill squeal": 3520.0,
}
WAYS = (
    "A {} is heard",
    "There is a {} nearby",
    "A machine makes a {}",
    "Someone plays a {} for a while",
    "A {} with hiss behind",
)


def tone(frequency_hz: float, seed: int, duration_s: float = 1.0) -> np.ndarray:
    """A tone that comes and goes over noise: (S,) float32; every seed is another recording."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.5, 3.0) * t + rng.uniform(0, 6))
    wave = 0.4 * swell * np.sin(2 * np.pi * frequency_hz * t + rng.uniform(0, 6))
    return (wave + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


def texture(seed: int, duration_s: float = 2.0, n_bands: int = 12) -> np.ndarray:
    """Noise whose bands swell and fade on their own, like rain, traffic or a crowd: (S,) float32."""
    rng = np.random.default_rng(seed)
    n = int(duration_s * RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.fft.rfftfreq(n, 1 / RATE_HZ)
    edges = np.geomspace(150, 7000, n_bands + 1)
    steps = np.linspace(0, duration_s, max(2, int(duration_s * 6)))
    out = np.zeros(n)
    for low, high in itertools.pairwise(edges):
        band = np.fft.irfft(np.where((frequency >= low) & (frequency < high), spectrum, 0), n)
        swell = np.interp(np.arange(n) / RATE_HZ, steps, rng.uniform(0.05, 1.0, len(steps)))
        out += swell * band / np.abs(band).max()
    return (0.5 * out / np.abs(out).max()).astype(np.float32)


def write_table(path: Path, header: list[str], rows: list[list], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _clips(per_split: dict[str, int]) -> list[tuple[str, int, str, float]]:
    """(split, running number, name of the sound, frequency) for all clips."""
    names = list(SOUNDS.items())
    clips, number = [], 0
    for split in SPLITS:
        for _ in range(per_split[split]):
            clips.append((split, number, *names[number % len(names)]))
            number += 1
    return clips


def youtube_id(number: int) -> str:
    return f"-id_{number:07d}"  # 11 letters, with the - and _ that real ids have


def make_audiocaps(root: Path, train: int = 12, val: int = 6, test: int = 6, dead: tuple[int, ...] = ()) -> Path:
    """AudioCaps v1: ``dataset/*.csv``, one caption in train and five elsewhere, ``audio/<split>/<id>_<start>.wav``.

    ``dead`` are running numbers of clips that the CSVs list and whose audio is gone.
    """
    tables = {split: [] for split in SPLITS}
    for split, number, name, frequency in _clips({"train": train, "val": val, "test": test}):
        start = 10 * (number % 4)
        for k, way in enumerate(WAYS[:1] if split == "train" else WAYS):
            tables[split].append([number * 10 + k, youtube_id(number), start, way.format(name)])
        if number not in dead:
            path = root / "audio" / split / f"{youtube_id(number)}_{start}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(frequency, number), RATE_HZ)
    for split, rows in tables.items():
        write_table(root / "dataset" / f"{split}.csv", ["audiocap_id", "youtube_id", "start_time", "caption"], rows)
    return root


def make_clotho(root: Path, train: int = 12, val: int = 6, test: int = 6) -> Path:
    """Clotho v2.1: five captions everywhere, metadata in ISO-8859-1, one file name in two subsets."""
    header = ["file_name", *(f"caption_{k}" for k in range(1, 6))]
    about = ["file_name", "keywords", "sound_id", "sound_link", "start_end_samples", "manufacturer", "license"]
    captions, metadata = {s: [] for s in SPLITS}, {s: [] for s in SPLITS}
    first = {train, train + val}  # the first clip of validation and of evaluation
    for split, number, name, frequency in _clips({"train": train, "val": val, "test": test}):
        file_name = "City ambience 1_2.wav" if number in first else f" {name} {number}.wav"
        captions[split].append([file_name, *(way.format(name) for way in WAYS)])
        link = f"https://freesound.org/people/caf\u00e9/sounds/{7000 + number}"
        metadata[split].append([file_name, name.replace(" ", ";"), 7000 + number, link, "", "caf\u00e9", "CC0"])
        path = root / "clotho_audio_files" / SUBSETS[split] / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(frequency, 1000 + number), RATE_HZ)
    for split, subset in SUBSETS.items():
        folder = root / "clotho_csv_files"
        write_table(folder / f"clotho_captions_{subset}.csv", header, captions[split])
        write_table(folder / f"clotho_metadata_{subset}.csv", about, metadata[split], "iso-8859-1")
    return root
