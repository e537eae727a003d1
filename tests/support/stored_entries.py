"""Entries for the tests of this room."""

from __future__ import annotations

import numpy as np

from askaudio.index.entries import Entry, Identity

DIM = 16
IDENTITY = Identity("feedfacecafebeef", DIM, "toy:dim=16")


def make_entries(n: int, seed: int = 0, dim: int = DIM) -> list[Entry]:
    """n windows of about n / 3 recordings with metadata of every kind, some vectors equal to others on purpose."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, dim)).astype(np.float32)
    vectors[n // 2 :: 5] = vectors[0]  # ties
    entries = []
    for i in range(n):
        clip = i // 3
        metadata: dict[str, object] = {
            "duration_s": round(0.5 + (clip * 7 % 11) / 2, 2),
            "channels": 1 + clip % 2,
            "tags": ["Rain" if clip % 3 == 0 else "wind", f"kit {clip % 4}"],
            "artist": f"O'Brien [{clip % 5}]",
        }
        if clip % 4 == 0:
            metadata["caption"] = f"a metal door slams {clip % 3} times"
        path = f"/sounds/Take {clip % 2}/{['DoorSlam', 'window_rain', 'wind-howl'][clip % 3]}{clip:02d}.wav"
        entries.append(Entry(f"c{clip:04d}#{i % 3}", f"c{clip:04d}", vectors[i], i % 3, i % 3 + 1.5, path, metadata))
    return entries
