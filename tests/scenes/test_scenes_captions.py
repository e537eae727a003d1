"""Captions, near misses and caption errors: true where they must be true, wrong where they must be wrong."""

from collections import Counter

import numpy as np
import pytest

from askaudio.core.errors import ConfigError, DataError
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.scenes.caption_errors import drop_event, exchange_captions, similar_captions, wrong_event
from askaudio.scenes.captions import PATTERNS, captions_for
from askaudio.scenes.event import Event, truth
from askaudio.scenes.kinds.registry import KINDS
from askaudio.scenes.near_miss import minimal_pairs, near_miss_set, near_misses
from askaudio.scenes.synthesised import SynthesisedSource
from askaudio.scenes.wording import Choice, clause, keywords, nameable, noun

WORDINGS = SynthesisedSource().wordings
DOG = Event("dog", 0.0, 1.0, {"size": "small", "count": "3"})
OWL = Event("owl", 2.0, 3.0, {"pitch": "low", "count": "2"})
RAIN = Event("rain", 4.0, 9.0, {"strength": "heavy"})


def scene(k, events, relation, split="train"):
    texts = captions_for(events, relation, WORDINGS, np.random.default_rng(k))
    captions = tuple(Caption(f"s{k}#{j}", t) for j, t in enumerate(texts))
    return Clip(f"s{k}", f"s{k}.wav", captions, split=split, extra=truth(tuple(events), relation))


@pytest.fixture
def library():
    rng, names = np.random.default_rng(0), sorted(KINDS)[:12]
    clips = []
    for k in range(60):
        chosen = rng.choice(names, 1 + k % 3, replace=False)
        events = [Event(str(n), float(j), j + 0.5) for j, n in enumerate(chosen)]
        clips.append(scene(k, events, "single" if len(events) == 1 else "sequence", "test" if k % 5 == 0 else "train"))
    return Manifest("library", tuple(clips))


def test_phrases_take_attributes_and_articles():
    wording = WORDINGS["owl"]
    plain, named = Choice(0, 0, frozenset()), Choice(0, 0, frozenset({"pitch", "count"}))
    assert clause(OWL, wording, plain) == "an owl hoots"
    assert clause(OWL, wording, named) == "a low-pitched owl hoots twice"
    assert noun(OWL, wording, plain) == "a hooting owl" or "owl" in noun(OWL, wording, plain)
    assert keywords(OWL, wording, named) == "low-pitched owl twice"
    assert nameable(Event("owl", 0, 1, {"colour": "brown"}), wording) == []


@pytest.mark.parametrize(("relation", "n"), sorted(PATTERNS))
def test_captions_differ_and_name_every_event(relation, n):
    events = [DOG, OWL, RAIN][:n]
    stems = {"dog": ("dog",), "owl": ("owl",), "rain": ("rain",)}
    for seed in range(20):
        texts = captions_for(events, relation, WORDINGS, np.random.default_rng(seed))
        assert len(set(texts)) == 5
        assert texts == captions_for(events, relation, WORDINGS, np.random.default_rng(seed))
        for text in texts:
            assert "{" not in text and "  " not in text and text == text.strip()
            assert all(any(s in text for s in stems[e.label]) for e in events)


def test_captions_refuse_what_they_cannot_word():
    with pytest.raises(DataError, match="no caption for 2 events"):
        captions_for([DOG, OWL], "single", WORDINGS, np.random.default_rng(0))


def test_near_misses_change_one_fact():
    kinds = Counter()
    for seed in range(40):
        for pair in minimal_pairs([DOG, OWL], "sequence", WORDINGS, np.random.default_rng(seed)):
            kinds[pair.kind] += 1
            assert pair.text != pair.true_text
            if pair.kind == "order":
                dog_first = [t.index("dog") < t.index("owl") for t in (pair.text, pair.true_text)]
                assert dog_first[0] != dog_first[1]
            elif pair.kind in ("attribute", "count"):
                a, b = pair.text.split(), pair.true_text.split()
                assert len(set(a) ^ set(b)) <= 6
                counts = any(w.strip(",") in ("twice", "times", "once", "time") for w in {*a, *b})
                assert counts or pair.kind == "attribute"
            elif pair.kind == "negation":
                assert pair.text.replace("without", "with") == pair.true_text
            else:
                assert not ("dog" in pair.text and "owl" in pair.text)
    assert set(kinds) == {"order", "attribute", "count", "negation", "label"}
    assert min(kinds.values()) == 40


def test_order_is_swapped_only_where_there_is_one():
    for relation in ("together", "background"):
        found = near_misses([DOG, OWL], relation, WORDINGS, np.random.default_rng(1))
        assert "order" not in {kind for kind, _ in found}
    single = near_misses([Event("jet", 0, 1)], "single", WORDINGS, np.random.default_rng(1))
    assert {kind for kind, _ in single} == {"negation", "label"}
    assert any("cannot be heard" in text for _, text in single)


def test_near_miss_set_pairs_captions_with_wrong_texts(library):
    gallery, lists = near_miss_set(library, WORDINGS)
    assert gallery.n_captions == len(lists) and all(len(found) == 1 for found in lists)
    true = [c.text for clip in gallery for c in clip.captions]
    assert all(text != wrong[0][1] for text, wrong in zip(true, lists, strict=True))
    again, same = near_miss_set(Manifest("part", library.clips[3:5]), WORDINGS)
    assert [c.captions for c in again] == [c.captions for c in gallery.clips[3:5]] and same
    with pytest.raises(DataError, match="not known"):
        near_miss_set(Manifest("other", (Clip("x", "x.wav"),)), WORDINGS)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 1.0])
def test_exchange_hits_its_share_and_no_caption_comes_home(library, share):
    changed, wrong = exchange_captions(library, share, seed=3)
    train = np.array([c.split == "train" for c in library for _ in c.captions])
    assert not wrong[~train].any()
    assert wrong[train].mean() == pytest.approx(share, abs=0.02)
    before, after = ([c.text for clip in m for c in clip.captions] for m in (library, changed))
    assert sorted(before) == sorted(after)
    assert all((a != b) == w for a, b, w in zip(before, after, wrong, strict=True))
    again, same = exchange_captions(library, share, seed=3)
    assert again == changed and np.array_equal(same, wrong)
    if 0 < share < 1:
        assert not np.array_equal(wrong, exchange_captions(library, share, seed=4)[1])


def test_similar_captions_share_a_label(library):
    changed, wrong = similar_captions(library, 0.3)
    owner = {c.text: clip for clip in library for c in clip.captions}
    labels = {clip.clip_id: {e["label"] for e in clip.extra["events"]} for clip in library}
    k = 0
    for clip in changed:
        for caption in clip.captions:
            if wrong[k]:
                other = labels[owner[caption.text].clip_id]
                assert other & labels[clip.clip_id] and other != labels[clip.clip_id]
            k += 1
    assert 0.2 < wrong.sum() / (0.8 * len(wrong)) < 0.35


def test_dropped_and_wrong_events(library):
    for make, share in ((drop_event, 0.3), (wrong_event, 0.5)):
        changed, wrong = make(library, WORDINGS, share)
        train = np.array([c.split == "train" for c in library for _ in c.captions])
        assert wrong[train].mean() == pytest.approx(share, abs=0.03) and not wrong[~train].any()
        before, after = ([c.text for clip in m for c in clip.captions] for m in (library, changed))
        assert all((a != b) == w for a, b, w in zip(before, after, wrong, strict=True))
    with pytest.raises(DataError, match="only"):
        drop_event(library, WORDINGS, 0.9)


def test_errors_refuse_wrong_use(library):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        exchange_captions(library, 1.2)
    plain = Manifest("plain", (Clip("a", "a.wav", (Caption("a#0", "x"),), split="train"),))
    with pytest.raises(DataError):
        similar_captions(plain, 0.5)
    with pytest.raises(DataError, match=r"alone|more than half"):
        exchange_captions(plain, 1.0)
