"""The weights in the package: small enough, whole, and they hear what they should on real recordings."""

import numpy as np
import pytest

from askaudio.audio.decode import decode
from askaudio.encoders.load import load
from askaudio.encoders.onnx import OnnxEncoder
from askaudio.encoders.registry import EFFICIENTAT, SMALL

pytestmark = pytest.mark.skipif(not SMALL.is_shipped(), reason="no weights: reproduce/small")


@pytest.fixture(scope="module")
def small() -> OnnxEncoder:
    return load("small")


def test_all_that_is_shipped_is_at_most_twenty_megabytes():
    folders = (SMALL.shipped_folder, EFFICIENTAT.shipped_folder)
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) <= 20e6


def test_texts_have_unit_vectors_whatever_their_case(small):
    a, b = small.encode_text(["A Dog Barks", "a dog barks"])
    assert small.embed_dim == 512
    np.testing.assert_array_equal(a, b)
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-5)


def test_text_alone_is_near_its_paraphrase(small):
    dog, hound, rain = small.encode_text(["a dog barks", "a hound is barking", "heavy rain on a roof"])
    assert dog @ hound > dog @ rain + 0.2


def test_silence_and_short_sounds_have_finite_vectors(small):
    vectors = small.encode_audio([np.zeros(32_000, np.float32), np.full(5, 0.1, np.float32)])
    assert np.isfinite(vectors).all()


def test_real_kitchen_sounds_find_their_names(small, shared):
    """Chance is a third; these recordings' groups may have been trained on, so this is no measure of quality."""
    folder = shared / "data/sounds/kitchen20"
    right = []
    texts = small.encode_text(["water flowing", "eat", "blender"])
    for number, code in enumerate(("7", "14")):
        for path in sorted(folder.glob(f"*-{code}.opus"))[:8]:
            right.append((texts @ small.encode_audio([decode(path, 32_000)[:320_000]])[0]).argmax() == number)
    assert len(right) >= 12
    assert np.mean(right) >= 0.75
