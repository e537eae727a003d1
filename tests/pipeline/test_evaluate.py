"""Scoring a model on a data set from Python: specs or open objects, the same numbers as by hand, no torch."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import decode
from askaudio.audio.windows import fixed_windows
from askaudio.core.errors import ConfigError, DataError
from askaudio.data.readers.open import open_dataset
from askaudio.encoders.load import load_encoder
from askaudio.pipeline.evaluate import evaluate_model
from askaudio.pipeline.evaluation.further import frequency_buckets, near_misses, query_forms

HZ = {"hum": 100, "horn": 400, "siren": 900, "bird": 4000}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A folder of four tones of 12 s with captions, one empty file, one broken file."""
    folder = tmp_path_factory.mktemp("library")
    rng, time_s = np.random.default_rng(0), np.arange(12 * 16000) / 16000
    sounds = {word: 0.3 * np.sin(2 * np.pi * hz * time_s) for word, hz in HZ.items()}
    for word, tone in sounds.items():
        noise = 0.01 * rng.normal(size=len(time_s))
        soundfile.write(folder / f"{word}.wav", (tone + noise).astype(np.float32), 16000)
        (folder / f"{word}.txt").write_text(f"a {word} sounds twice")
    soundfile.write(folder / "empty.wav", np.zeros(0, dtype=np.float32), 16000)
    (folder / "empty.txt").write_text("nothing at all")
    (folder / "broken.wav").write_bytes(b"RIFF")
    (folder / "broken.txt").write_text("a click")
    return folder


def test_a_model_is_scored_on_a_folder(library):
    found = evaluate_model("toy", library, split="all")
    assert found.report["t2a/R@1"] == 1.0
    assert found.report.n_clips == 4
    assert found.report.name == "toy"
    assert {clip_id.removesuffix(".wav") for clip_id in found.broken} == {"empty", "broken"}
    assert "holds no samples" in " ".join(found.broken.values())


def test_vectors_are_the_mean_over_fixed_windows(library):
    found = evaluate_model("toy", library, split="all")
    encoder = load_encoder("toy")
    for clip, row in zip(found.clips, found.audio, strict=True):
        windows = fixed_windows(decode(clip.path, 16000), 16000, encoder.window_s, encoder.hop_s)
        mean = encoder.encode_audio([window.samples for window in windows]).mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), rtol=1e-6)


def test_an_open_encoder_and_an_open_set_give_the_same_report(library):
    by_name = evaluate_model("toy", str(library), split="all", name="x")
    opened = evaluate_model(load_encoder("toy"), open_dataset(str(library)), split="all", name="x")
    assert by_name.report.to_json() == opened.report.to_json()


def test_further_tests_take_the_evaluation(library):
    found = evaluate_model("toy", library, split="all", relevance="text")
    assert set(near_misses(found).kinds) == {"count", "negation", "label"}
    assert query_forms(found).to_json()
    train = open_dataset(str(library))
    assert frequency_buckets(found, train=train).to_json()
    with pytest.raises(DataError, match="no train split"):
        frequency_buckets(found)


def test_what_is_missing_is_said(library, tmp_path):
    with pytest.raises(ConfigError, match="which data"):
        evaluate_model("toy")
    with pytest.raises(DataError, match="no splits"):
        evaluate_model("toy", library)
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "a.txt").write_text("a click")
    with pytest.raises(DataError, match="none of 1 sounds could be read"):
        evaluate_model("toy", tmp_path, split="all")


def test_it_works_without_torch(library):
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'torch', 'lightning', 'transformers'}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "from askaudio.pipeline.evaluate import evaluate_model\n"
        "from askaudio.pipeline.evaluation import files, further\n"
        "print(evaluate_model('toy', sys.argv[1], split='all').report['a2t/R@1'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(library)], capture_output=True, text=True)
    assert done.stdout.strip() == "1.0", done.stderr
