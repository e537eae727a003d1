"""How many clips a second are decoded while a model trains, and for how much of the time does a step wait for them?

    python benchmarks/training/loading.py MANIFEST --step-ms 50 --workers 0 1 2 4

Random windows of a captioned set through EfficientAT's front end (log-mel of 10 s), in batches. A step is a pause of
``--step-ms``: on a GPU the host is idle while a step computes. Prints clips per second and the share of time that steps
waited, for each number of worker processes.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from askaudio.data.readers.open import open_dataset
from askaudio.encoders.efficientat import FRONT_END
from askaudio.training.datamodule import PairDataModule
from askaudio.training.dataset import PairDataset
from askaudio.training.stream import Sound


def measure(pairs: PairDataset, batch_size: int, workers: int, step_s: float, batches: int) -> dict[str, float]:
    """Clips per second and share of waiting over some batches; the first one, which starts the workers, is left out."""
    loader = iter(PairDataModule(pairs, batch_size, workers=workers).train_dataloader())
    next(loader)
    waited, began, done = 0.0, time.perf_counter(), 0
    while done < batches:
        at = time.perf_counter()
        if next(loader, None) is None:
            break
        waited += time.perf_counter() - at
        time.sleep(step_s)
        done += 1
    seconds = time.perf_counter() - began
    return {
        "workers": workers,
        "clips_per_s": round(done * batch_size / seconds, 1),
        "waited": round(waited / seconds, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest")
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--step-ms", type=float, default=50.0)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2, 4])
    args = parser.parse_args()
    manifest = open_dataset(args.manifest)
    clips = manifest.where([bool(clip.captions) for clip in manifest])
    wordings = [[[0] for _ in clip.captions] for clip in clips]
    pairs = PairDataset(
        clips, [Sound(clip.path, FRONT_END) for clip in clips], np.zeros((1, 4), np.float32), wordings, same_text=False
    )
    for workers in args.workers:
        print(json.dumps(measure(pairs, args.batch_size, workers, args.step_ms / 1000, args.batches)), flush=True)


if __name__ == "__main__":
    main()
