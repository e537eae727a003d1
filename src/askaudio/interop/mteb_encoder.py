"""Any encoder as a model of mteb. Sounds are decoded by askaudio, so neither torchaudio nor torchcodec is needed.

Differs: mteb's own wrappers truncate long recordings; here they are cut into fixed windows, and the windows' vectors
    are averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from askaudio.audio.decode import Source, Waveform
from askaudio.core.errors import DataError
from askaudio.core.extras import require
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.recording import encode_recording

_AbsEncoder: Any = require("mteb.models.abs_encoder", "mteb").AbsEncoder


class MtebEncoder(_AbsEncoder):
    """A model for ``mteb.evaluate``.

    Args:
        encoder: Encodes sounds and texts.
        name: OWNER/NAME in result files; without an owner, ``askaudio`` is taken.
        progress: Called after each batch with the sounds or texts done.
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
        return np.stack([encode_recording(self.encoder, sound_source(sound)).pooled for sound in sounds])


def sound_source(sound: Any) -> Source:
    """A sound as data sets hold it, as a source that ``audio.decode`` reads.

    Args:
        sound: Path; ``{"bytes", "path"}`` as stored; ``{"array", "sampling_rate"}`` with an array of shape (S,) or
            (C, S); or a decoder of ``datasets``.

    Raises:
        DataError: It is something else.
    """
    if isinstance(sound, str):
        return sound
    if isinstance(sound, Mapping) and "array" in sound:
        return Waveform(np.asarray(sound["array"]), int(sound["sampling_rate"]))
    if isinstance(sound, Mapping) and (sound.get("bytes") or sound.get("path")):
        return sound["bytes"] or sound["path"]
    if hasattr(sound, "get_all_samples"):
        whole = sound.get_all_samples()
        return Waveform(whole.data.numpy(), int(whole.sample_rate))
    raise DataError(f"a sound must be a path, stored bytes or an array with its rate, got {type(sound).__name__}")


def undecoded(task: Any) -> Any:
    """The task with its data loaded and its sounds left as stored bytes, which ``sound_source`` reads."""
    datasets = require("datasets", "hf")
    task.load_data()
    for splits in task.dataset.values():
        for data in splits.values():
            for part in ("corpus", "queries"):
                for column, feature in data[part].features.items():
                    if isinstance(feature, datasets.Audio):
                        data[part] = data[part].cast_column(column, datasets.Audio(decode=False))
    return task
