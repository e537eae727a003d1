"""Everything between decoded samples and a tower, in one object that is stored with the model.

Rate, log-mel settings, window and hop for long recordings, and what is done with short sounds: a model that was
trained on one front end and searched with another gives silently worse hits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

import numpy as np

from askaudio.audio.logmel import LogMel
from askaudio.audio.slaney_mel import SlaneyMel
from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray, Json

ShortRule = Literal["keep", "zeros", "repeat", "tile"]


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Settings from waveform to log-mel; call it with samples (S,) to get (F, T) float32.

    Attributes:
        log_mel: Spectrogram settings; its rate is the rate of the waveforms.
        window_s: Longest sound that the tower hears at once, in seconds.
        hop_s: Step between the windows of a long recording, in seconds.
        short: What happens to a sound below ``short_s``: ``"keep"`` as it is, ``"zeros"`` appended, ``"repeat"``
            it from its start, ``"tile"`` it as often as it fits whole, then zeros.
        short_s: Length in seconds that a short sound is brought to; at most ``window_s`` counts.
    """

    log_mel: LogMel | SlaneyMel = field(default_factory=LogMel)
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
        """Bring a short sound (S,) to ``short_s`` by the rule; longer ones pass as they are."""
        wanted = round(min(self.short_s, self.window_s) * self.sample_rate_hz)
        if self.short == "keep" or len(samples) >= wanted:
            return samples
        if self.short == "repeat":
            return np.resize(samples, wanted)
        if self.short == "tile":
            samples = np.tile(samples, wanted // len(samples))
        return np.pad(samples, (0, wanted - len(samples)))

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
            kind: type[LogMel] | type[SlaneyMel] = SlaneyMel if log_mel.get("kind") == "slaney" else LogMel
            front_end = cls(**{**value, "log_mel": kind.from_json(log_mel)})
        except (TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"unknown front-end settings {value!r} ({error}); update askaudio") from error
        if front_end.short not in get_args(ShortRule):
            raise ModelError(f"unknown rule {front_end.short!r} for short sounds; update askaudio")
        return front_end
