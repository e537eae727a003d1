"""Front end and settings of LAION's CLAP, for the pulled model and the exporter.

Differs: the published extractor crops sounds longer than 10 s at random; here they are cut into windows at fixed
    places first.
"""

from __future__ import annotations

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.slaney_mel import SlaneyMel
from askaudio.core.types import Json

FRONT_END = FrontEnd(SlaneyMel(), window_s=10.0, hop_s=10.0, short="tile", short_s=10.0)
SETTINGS: Json = {"format": 1, "name": "clap", "layout": "transformers", "front_end": FRONT_END.to_json()}
