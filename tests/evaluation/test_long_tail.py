"""Content words, rarity and buckets against counts made by hand."""

import numpy as np
import pytest

from askaudio.core.errors import ConfigError, DataError
from askaudio.evaluation.evaluate import evaluate_embeddings
from askaudio.evaluation.long_tail import Rarity, by_bucket, rarest_word, word_frequencies
from askaudio.evaluation.words import content_words


def test_grammar_is_left_out():
    assert content_words("A dog's bark is heard, then THE rain falls.") == ["dog", "bark", "rain", "falls"]
    assert content_words("") == []


def test_a_word_counts_once_a_caption():
    counts = word_frequencies(["dog dog barks", "a dog", "rain"])
    assert counts == {"dog": 2, "barks": 1, "rain": 1}


def test_the_rarest_word_decides():
    counts = {"dog": 90, "barks": 50, "theremin": 2}
    assert rarest_word("a dog barks", counts) == ("barks", 50)
    assert rarest_word("a dog and a theremin", counts) == ("theremin", 2)
    assert rarest_word("a dog and a zither", counts) == ("zither", 0)
    assert rarest_word("it is", counts) == ("", 0)


def test_buckets_by_thirds_and_by_cuts():
    rarity = Rarity(tuple("abcdef"), np.array([1, 2, 10, 20, 300, 400]))
    assert rarity.buckets().tolist() == ["tail", "tail", "mid", "mid", "head", "head"]
    assert rarity.buckets((20, 400)).tolist() == ["tail", "tail", "tail", "mid", "mid", "head"]
    with pytest.raises(ConfigError, match="cuts must rise"):
        rarity.buckets((100, 20))


@pytest.fixture
def scored(rng):
    """Thirty clips; the first ten words are common and found, the last ten rare and lost."""
    audio = rng.normal(size=(30, 24))
    text = audio.copy()
    text[20:] = rng.normal(size=(10, 24))
    report = evaluate_embeddings(audio, np.repeat(text, 2, axis=0), np.repeat(np.arange(30), 2))
    keys = np.repeat([f"word{i % 10}" for i in range(30)], 2)
    frequency = np.repeat(np.repeat([500, 50, 1], 10), 2)
    return report, Rarity(tuple(f"{k}-{n}" for k, n in zip(keys, frequency, strict=True)), frequency)


def test_each_bucket_has_its_own_numbers(scored):
    report, rarity = scored
    found = by_bucket(report, rarity, cuts=(20, 100))
    values = report.per_query("t2a/R@1")
    assert [b.name for b in found.buckets] == ["head", "mid", "tail"]
    for k, bucket in enumerate(found.buckets):
        rows = slice(20 * k, 20 * k + 20)
        assert bucket.values["R@1"][0] == values[rows].mean()
        assert (bucket.n_queries, bucket.n_keys) == (20, 10)
        assert bucket.values["R@1"][1] <= bucket.values["R@1"][0] <= bucket.values["R@1"][2]
    assert found.buckets[0].values["R@1"][0] == 1.0
    assert found.buckets[2].values["R@1"][0] < 0.5
    assert found.macro_buckets["R@1"] == pytest.approx(np.mean([b.values["R@1"][0] for b in found.buckets]))
    for part in ("tail", "1-1", "macro, words"):
        assert part in found.table()
    assert found.to_json()["buckets"][0]["name"] == "head"


def test_the_macro_average_weighs_words_not_queries():
    audio = np.eye(4)
    text = audio[[0, 0, 0, 1]]  # the word of three queries is right, the other one wrong
    report = evaluate_embeddings(audio, text, [0, 0, 0, 3])
    found = by_bucket(report, Rarity(("dog", "dog", "dog", "bee"), np.array([9, 9, 9, 1])), metrics=("R@1",))
    assert report["t2a/R@1"] == 0.75
    assert found.macro_keys["R@1"] == 0.5


def test_by_label():
    rarity = Rarity.of_labels(["rain", "bee"], ["rain", "rain", "dog"])
    assert rarity.frequency.tolist() == [2, 0]


def test_rarity_of_other_queries_is_refused(scored):
    with pytest.raises(DataError, match="does not fit the report's 60"):
        by_bucket(scored[0], Rarity(("a",), np.array([1])))
