"""Waveforms as they are, for towers that take samples instead of a spectrogram: WavLM, HuBERT, data2vec, PE-AV.

The result has one row, (1, S), so that it passes through the same code as a spectrogram (F, T).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray, Json

_VARIANCE_FLOOR = 1e-7


@dataclass(frozen=True, slots=True)
class RawWaveform:
    """Settings of a front end without a spectrogram; called with samples (S,) it returns (1, S') float32.

    Attributes:
        sample_rate_hz: Rate of the samples.
        standardise: Bring the samples of a window to mean 0 and variance 1.
        multiple: The length is extended to a multiple of this by reflection at the end.
    """

    sample_rate_hz: int = 16000
    standardise: bool = False
    multiple: int = 1

    @property
    def n_mels(self) -> int:
        """Rows of the result."""
        return 1

    def __call__(self, samples: FloatArray) -> FloatArray:
        """The samples (S,) as one row (1, S')."""
        x = np.asarray(samples, dtype=np.float32)
        if self.standardise:
            x = (x - x.mean()) / np.sqrt(x.var() + np.float32(_VARIANCE_FLOOR))
        if rest := len(x) % self.multiple:
            x = np.pad(x, (0, self.multiple - rest), mode="reflect")
        return x[None].astype(np.float32, copy=False)

    def to_json(self) -> Json:
        """Settings as a JSON object; ``kind`` distinguishes them from those of spectrograms."""
        return {"kind": "raw", **asdict(self)}

    @classmethod
    def from_json(cls, value: Json) -> RawWaveform:
        """Settings from ``to_json``'s object.

        Raises:
            ModelError: A field that this version does not know.
        """
        try:
            return cls(**{key: item for key, item in value.items() if key != "kind"})
        except TypeError as error:
            raise ModelError(f"unknown waveform settings {value!r} ({error}); update askaudio") from error
