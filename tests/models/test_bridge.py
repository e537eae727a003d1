"""Bridge, profile and trained part: the score is the weighted sum of their cosines, whatever their axes."""

import pytest
import torch

from askaudio.models.bridge import (
    AXES,
    CLASSES,
    EMBEDDING,
    TEXT,
    BridgeAudioProjection,
    BridgeTextProjection,
    teach_names,
    unit,
)


@pytest.fixture(scope="module")
def heads() -> tuple[BridgeAudioProjection, BridgeTextProjection, torch.Tensor]:
    torch.manual_seed(0)
    audio, text = BridgeAudioProjection(16, 32, 0.0, share=0.6).eval(), BridgeTextProjection(16, share=0.6).eval()
    features = torch.cat([torch.rand(700, EMBEDDING), 3 * torch.randn(700, CLASSES) - 4], 1)
    audio.standardise(features)
    names = unit(torch.randn(CLASSES, 40) @ torch.randn(40, TEXT))  # 40 main axes: nothing is lost on 192
    teach_names(audio, text, names)
    return audio, text, names


def sound_of(audio: BridgeAudioProjection, classes: list[int]) -> torch.Tensor:
    """Features (1, 911) of a sound in which some classes stand out."""
    logits = audio.mean[EMBEDDING:].clone()
    logits[classes] += 4 / audio.scale[EMBEDDING:][classes]
    return torch.cat([audio.mean[:EMBEDDING], logits])[None]


def test_score_is_weighted_sum_of_cosines(heads):
    audio, text, names = heads
    sounds = torch.cat([torch.rand(5, EMBEDDING), 3 * torch.randn(5, CLASSES) - 4], 1)
    texts = names[:7]
    got = text(texts) @ audio(sounds).T
    evidence, centred = audio.evidence(sounds), unit(texts - names.mean(0))
    bridge = centred @ unit(evidence @ (names - names.mean(0))).T
    learned = text.learned(texts) @ audio.learned(sounds).T
    choice = torch.softmax(15 * centred @ unit(names - names.mean(0)).T, 1)
    profile = unit(choice @ audio.axes) @ unit(evidence @ audio.axes).T
    torch.testing.assert_close(got, 0.3 * bridge + 0.3 * profile + 0.4 * learned, atol=1e-4, rtol=0)


def test_rows_have_length_one(heads):
    audio, text, names = heads
    assert text.embed_dim == audio.embed_dim == 2 * AXES + 16
    torch.testing.assert_close(text(names).norm(dim=1), torch.ones(CLASSES), atol=1e-4, rtol=0)


@pytest.mark.parametrize("number", [0, 100, 526])
def test_name_of_the_class_that_stands_out_is_nearest_without_training(heads, number):
    audio, text, names = heads
    audio_part = audio(sound_of(audio, [number]))[:, : 2 * AXES]
    assert (text(names)[:, : 2 * AXES] @ audio_part.T).argmax() == number


def test_silence_has_a_vector(heads):
    audio, _, _ = heads
    quiet = torch.cat([torch.zeros(EMBEDDING), audio.mean[EMBEDDING:] - 1])[None]
    vector = audio(quiet)
    assert torch.isfinite(vector).all()
    assert (vector[:, : 2 * AXES] == 0).all()


def test_heads_come_back_from_their_settings(heads):
    audio, text, _ = heads
    for head, kind in ((audio, BridgeAudioProjection), (text, BridgeTextProjection)):
        settings = head.settings()
        again = kind(**{k: v for k, v in settings.items() if k != "kind"})
        again.load_state_dict(head.state_dict())
        assert again.settings() == settings
        assert again.embed_dim == head.embed_dim
