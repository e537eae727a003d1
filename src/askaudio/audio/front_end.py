"""All settings between decoded samples and an audio tower, in one object that is stored with the model.

They are the rate, the log-mel settings, window and hop for long recordings, and the rule for short sounds. A model that
is used with another front end than the one it was trained with gives worse hits without any error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

import numpy as np

from askaudio.audio.logmel import LogMel
from askaudio.audio.mel import MelSpectrogram
from askaudio.audio.raw import RawWaveform
from askaudio.audio.slaney_mel import SlaneyMel
from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray, Json

ShortRule = Literal["keep", "zeros", "repeat", "tile"]
Spectrogram = LogMel | SlaneyMel | MelSpectrogram | RawWaveform
KINDS: dict[str | None, type[LogMel] | type[SlaneyMel] | type[MelSpectrogram] | type[RawWaveform]] = {
    None: LogMel, "slaney": SlaneyMel, "mel": MelSpectrogram, "raw": RawWaveform,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Settings from waveform to log-mel; called with samples (S,) it returns (F, T) float32.

    Attributes:
        log_mel: Spectrogram or waveform settings; its rate is the rate of the waveforms.
        window_s: Longest input of the tower, in seconds.
        hop_s: Step between the windows of a long recording, in seconds.
        short: Rule for a sound shorter than ``short_s``: ``"keep"`` leaves it unchanged, ``"zeros"`` appends zeros,
            ``"repeat"`` repeats it cyclically, ``"tile"`` repeats it as often as it fits whole and appends zeros.
        short_s: Length in seconds to which a short sound is extended; values above ``window_s`` count as ``window_s``.
    """

    log_mel: Spectrogram = field(default_factory=LogMel)
    window_s: float = 10.0
    hop_s: float = 10.0
    short: ShortRule = "repeat"
    short_s: float = 1.0

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms."""
        return self.log_mel.sample_rate_hz

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Log-mel (F, T) float32 of one window (S,).

        Raises:
            ModelError: The waveform is empty, not one row of finite numbers, or longer than a window.
        """
        samples = np.asarray(samples, dtype=np.float32)
        longest = round(self.window_s * self.sample_rate_hz)
        if samples.ndim != 1 or not 0 < len(samples) <= longest:
            raise ModelError(
                f"a waveform must have shape (S,) with 1 <= S <= {longest} ({self.window_s} s at "
                f"{self.sample_rate_hz} Hz), got {samples.shape}; cut longer ones with "
                "askaudio.audio.windows.fixed_windows"
            )
        if not np.isfinite(samples).all():
            raise ModelError("a waveform holds NaN or infinite samples")
        return self.log_mel(self.lengthen(samples))

    def lengthen(self, samples: FloatArray) -> FloatArray:
        """Extend a short sound (S,) to ``short_s`` by the rule ``short``; longer sounds are returned unchanged."""
        target = round(min(self.short_s, self.window_s) * self.sample_rate_hz)
        if self.short == "keep" or len(samples) >= target:
            return samples
        if self.short == "repeat":
            return np.resize(samples, target)
        if self.short == "tile":
            samples = np.tile(samples, target // len(samples))
        return np.pad(samples, (0, target - len(samples)))

    def to_json(self) -> Json:
        """Settings as a JSON object."""
        return {**asdict(self), "log_mel": self.log_mel.to_json()}

    @classmethod
    def from_json(cls, value: Json) -> FrontEnd:
        """Settings from ``to_json``'s object.

        Raises:
            ModelError: A field that this version does not know.
        """
        try:
            log_mel = value["log_mel"]
            front_end = cls(**{**value, "log_mel": KINDS[log_mel.get("kind")].from_json(log_mel)})
        except (TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"unknown front-end settings {value!r} ({error}); update askaudio") from error
        if front_end.short not in get_args(ShortRule):
            raise ModelError(f"unknown rule {front_end.short!r} for short sounds; update askaudio")
        return front_end
