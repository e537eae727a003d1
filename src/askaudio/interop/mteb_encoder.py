"""Any encoder of ours as a model of mteb, with our own decoding, so that neither torchaudio nor torchcodec is needed.

Differs: from mteb's own wrappers, long recordings are not cut off; they are cut into fixed windows and averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import soxr

from askaudio.audio.decode import decode
from askaudio.audio.windows import fixed_windows
from askaudio.core.errors import DataError
from askaudio.core.extras import require
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.encoder import Encoder, pool_windows

_AbsEncoder: Any = require("mteb.models.abs_encoder", "mteb").AbsEncoder


class MtebEncoder(_AbsEncoder):
    """What ``mteb.evaluate`` takes as a model.

    Args:
        encoder: Encodes.
        name: As OWNER/NAME in result files.
        progress: Told of every batch.
    """

    def __init__(self, encoder: Encoder, name: str = "", progress: Progress = silent) -> None:
        meta = require("mteb.models.model_meta", "mteb").ModelMeta
        self.encoder, self.progress = encoder, progress
        self.mteb_model_meta = meta.create_empty(
            {
                "name": name if "/" in name else f"askaudio/{name or encoder.name}",
                "revision": encoder.fingerprint,
                "modalities": ["text", "audio"],
                "embed_dim": encoder.embed_dim,
            }
        )

    def encode(self, inputs: Iterable[Mapping[str, Any]], **kwargs: Any) -> FloatArray:
        """Batches with ``text`` or ``audio`` (lists of B) -> (N, D) rows of length 1."""
        rows = [np.zeros((0, self.encoder.embed_dim), dtype=np.float32)]
        done = 0
        for batch in inputs:
            sounds = "audio" in batch
            rows.append(self._sounds(batch["audio"]) if sounds else self.encoder.encode_text(list(batch["text"])))
            done += len(rows[-1])
            self.progress(done, None, "sounds" if sounds else "texts")
        return np.concatenate(rows)

    def _sounds(self, sounds: Iterable[Any]) -> FloatArray:
        return np.stack([pool_windows(self.encoder.encode_audio(self._windows(sound))) for sound in sounds])

    def _windows(self, sound: Any) -> list[FloatArray]:
        rate = self.encoder.sample_rate_hz
        cut = fixed_windows(read_sound(sound, rate), rate, self.encoder.window_s, self.encoder.hop_s)
        return [window.samples for window in cut]


def read_sound(sound: Any, rate_hz: int) -> FloatArray:
    """A sound as data sets hold it -> mono (S,) at ``rate_hz``.

    Args:
        sound: Path; ``{"bytes", "path"}`` as stored; ``{"array", "sampling_rate"}``; or a decoder of ``datasets``.
        rate_hz: Wanted rate.

    Raises:
        DataError: It is something else.
    """
    if isinstance(sound, str):
        return decode(sound, rate_hz)
    if isinstance(sound, Mapping) and "array" in sound:
        samples = np.asarray(sound["array"], dtype=np.float32)
        samples = samples.mean(axis=0) if samples.ndim == 2 else samples
        source_hz = int(sound["sampling_rate"])
        return samples if source_hz == rate_hz else soxr.resample(samples, source_hz, rate_hz)
    if isinstance(sound, Mapping) and (sound.get("bytes") or sound.get("path")):
        return decode(sound["bytes"] or sound["path"], rate_hz)
    if hasattr(sound, "get_all_samples"):
        whole = sound.get_all_samples()
        return read_sound({"array": whole.data.numpy(), "sampling_rate": whole.sample_rate}, rate_hz)
    raise DataError(f"a sound must be a path, stored bytes or an array with its rate, got {type(sound).__name__}")


def undecoded(task: Any) -> Any:
    """The task with its data loaded and its sounds left as stored bytes, for ``read_sound`` to decode."""
    datasets = require("datasets", "hf")
    task.load_data()
    for splits in task.dataset.values():
        for data in splits.values():
            for part in ("corpus", "queries"):
                for column, feature in data[part].features.items():
                    if isinstance(feature, datasets.Audio):
                        data[part] = data[part].cast_column(column, datasets.Audio(decode=False))
    return task
