"""The file with what search knows about a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from askaudio.core.errors import ModelError
from askaudio.encoders.load import load
from askaudio.encoders.registry import SMALL
from askaudio.encoders.tuning import MatchCurve, read_tuning

CONTENT = {
    "fingerprint": "f1",
    "match": {"text": {"bias": -2.0, "z": 0.5, "cosine": 1.0, "spread": 0.0}},
    "hubs": {"text": {"taken": [0.1, 0.2], "least_words": 5}},
}


def test_it_is_read_for_the_encoder_that_it_names(tmp_path: Path) -> None:
    assert read_tuning(tmp_path, "f1", 2) is None
    (tmp_path / "search.json").write_text(json.dumps(CONTENT))
    assert read_tuning(tmp_path, "f2", 2) is None
    tuning = read_tuning(tmp_path, "f1", 2)
    assert tuning is not None and tuning.match["text"](z=4.0, cosine=0.0, spread=0.1) == 50.0
    assert tuning.hubs["text"].least_words == 5
    np.testing.assert_array_equal(tuning.hubs["text"].taken, np.array([0.1, 0.2], np.float32))


@pytest.mark.parametrize("change", [{"hubs": {"text": {"taken": [0.1], "least_words": 5}}}, {"match": {"text": 1}}])
def test_a_damaged_one_is_refused(tmp_path: Path, change: dict) -> None:
    (tmp_path / "search.json").write_text(json.dumps(CONTENT | change))
    with pytest.raises(ModelError, match="damaged"):
        read_tuning(tmp_path, "f1", 2)


def test_the_curve_ends_at_0_and_100() -> None:
    curve = MatchCurve(bias=0.0, z=1.0)
    assert (curve(-1e9, 0, 0), curve(0, 0, 0), curve(1e9, 0, 0)) == (0.0, 50.0, 100.0)


@pytest.mark.skipif(not SMALL.is_shipped(), reason="no weights: reproduce/small")
def test_the_shipped_model_knows_its_words_and_has_a_tuning() -> None:
    encoder = load("small")
    assert encoder.unknown_words("a dog barking") == ([], 3)
    assert encoder.unknown_words("asdfgh собака") == (["asdfgh", "собака"], 2)
    assert encoder.unknown_words("🎉") == (["🎉"], 1)
    assert encoder.tuning is not None and set(encoder.tuning.match) == {"text", "sound"}
