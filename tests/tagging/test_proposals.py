"""Proposals: categories of UCS, probabilities, words of names, and vectors from the collection."""

import json
from importlib.resources import files

import numpy as np
import pytest
import soundfile

from askaudio.encoders.load import load_encoder
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.ingest.indexer import Indexer
from askaudio.ingest.ucs import cat_ids
from askaudio.tagging import vectors as vectors_module
from askaudio.tagging.categories import categories, category_of
from askaudio.tagging.propose import propose, words_of_name
from askaudio.tagging.vectors import file_vectors, stored_vectors
from askaudio.tagging.zero_shot import Calibration, ZeroShot, softmax
from layouts import RATE_HZ, texture


@pytest.fixture(scope="module")
def toy() -> ZeroShot:
    return ZeroShot(ToyEncoder(), calibration=Calibration(20.0, 10.0, 1.0, 0.0, known=True))


def test_every_word_belongs_to_a_category_of_the_list():
    text = files("askaudio.tagging").joinpath("ucs_words.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    assert len({row[0] for row in rows}) == len(rows) == 604
    assert {row[0] for row in rows} <= set(cat_ids())
    assert all(word == word.strip() and word for row in rows for word in row[1].split(";"))
    known = {one.cat_id for one in categories()}
    assert len(known) == 671 and known < set(cat_ids())
    unworded = [one.cat_id for one in categories() if not one.words]
    assert all(cat_ids()[cat_id][1] == "misc" for cat_id in unworded)
    assert category_of("DOORWood").prompts[-1] == "doors wood" and category_of("NONE") is None


def test_the_shipped_model_is_calibrated():
    rows = json.loads(files("askaudio.tagging").joinpath("calibration.json").read_text(encoding="utf-8"))["models"]
    encoder = load_encoder("small")
    assert rows[encoder.fingerprint]["model"] == "small"
    assert Calibration.of(encoder.fingerprint).known and not Calibration.of("another").known


def test_scores_equal_a_loop_over_the_prompts(toy):
    vectors = toy.encoder.encode_text(["low hum", "rain"])
    found = toy.scores(vectors, sharpness=4.0)
    for n, vector in enumerate(vectors):
        for k in (0, 17, len(toy.categories) - 1):
            rows = [toy.rows[i] for i, (owner, _) in enumerate(toy.prompts) if owner == k]
            assert len(rows) == len(toy.categories[k].prompts)
            expected = np.log(sum(np.exp(4.0 * (float(row @ vector) - 1)) for row in rows)) / 4.0 + 1
            assert found[n, k] == pytest.approx(expected, abs=1e-5)


def test_prompts_are_encoded_once(tmp_path):
    encoder = ToyEncoder()
    first = ZeroShot(encoder, tmp_path).rows
    encoder.encode_text = None
    np.testing.assert_array_equal(ZeroShot(encoder, tmp_path).rows, first)


def test_probabilities_follow_the_curve():
    shares = softmax(np.array([[2.0, 1.0, 0.0]], np.float32))
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(Calibration(slope=1.0, offset=0.0).probability(shares), shares, rtol=1e-4)
    curved = Calibration(slope=0.5, offset=1.0).probability(np.array([0.8]))
    assert curved[0] == pytest.approx(1 / (1 + np.exp(-(0.5 * np.log(4) + 1))))


def test_the_right_category_is_proposed_for_a_name(toy):
    silence = np.zeros((1, toy.encoder.embed_dim), np.float32)
    [proposal] = propose(toy, ["/x/fire alarm bell 3.wav"], silence)
    assert proposal.category.cat_id == "ALRMBell" and len(proposal.alternatives) == 2
    assert proposal.title == "Fire Alarm Bell 3" and {"fire", "alarm", "bell"} <= set(proposal.keywords)
    assert proposal.description.startswith("Fire alarm bell: ")
    [by_sound] = propose(toy, ["/x/fire alarm bell 3.wav"], silence, use_names=False)
    assert by_sound.probability < proposal.probability


def test_a_ucs_name_keeps_its_category(toy):
    row = toy.encoder.encode_text(["rain"])
    [proposal] = propose(toy, ["/x/DOORWood_Cellar Door_AB_LIB.wav"], row)
    assert (proposal.category.cat_id, proposal.probability, proposal.named) == ("DOORWood", 1.0, True)
    assert proposal.sure and proposal.title == "Cellar Door"
    assert all(one.cat_id != "DOORWood" for one, _ in proposal.alternatives)


def test_what_is_below_the_limit_is_unsure(toy):
    row = toy.encoder.encode_text(["rain"])
    [low], [high] = (propose(toy, ["/x/1.wav"], row, least_sure=limit) for limit in (0.0, 1.0))
    assert low.sure and not high.sure and high.to_json()["sure"] is False
    assert propose(toy, [], row[:0]) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ZOOM0012", ""), ("creakyDoor_03", "creaky door"), ("Take 7 final mix", ""), ("0-1014-A", ""),
        ("rain on a tin roof (2)", "rain tin roof"), ("Tür öffnet", "tür öffnet"),
    ],
)  # fmt: skip
def test_words_of_names(name, words):
    assert words_of_name(f"/x/{name}.wav") == words


def test_vectors_come_from_the_collection_until_a_file_changes(tmp_path, monkeypatch):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for k in range(2):
        soundfile.write(folder / f"{k}.wav", texture(k), RATE_HZ)
    (folder / "bad.wav").write_bytes(b"no sound")
    with Indexer([folder], tmp_path / "c", "toy") as indexer:
        indexer.update()
        encoder = indexer.encoder
    soundfile.write(folder / "1.wav", texture(5), RATE_HZ, subtype="FLOAT")
    encoded = []
    original = vectors_module.encode_recording
    monkeypatch.setattr(
        vectors_module, "encode_recording", lambda e, p, **kwargs: encoded.append(p) or original(e, p, **kwargs)
    )
    paths = [str(folder / name) for name in ("0.wav", "1.wav", "bad.wav")]
    with open_store(tmp_path / "c") as store:
        found, broken = file_vectors(paths, encoder, store)
        stored = stored_vectors(store, "path~0.wav")
    assert encoded == paths[1:] and set(found) == set(paths[:2]) and set(broken) == {paths[2]}
    np.testing.assert_allclose(stored[paths[0]], found[paths[0]], atol=1e-6)
    np.testing.assert_allclose(found[paths[1]], original(encoder, paths[1]).pooled, atol=1e-6)
