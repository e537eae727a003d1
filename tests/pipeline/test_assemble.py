"""From recipe to run on a few seconds of made sounds: inputs, cache, knowledge switch, resolved recipe, resume."""

import numpy as np
import pytest
import soundfile
import torch
import yaml

from askaudio.config.load import load_recipe
from askaudio.core.errors import ConfigError, DataError
from askaudio.data.manifest import Caption, Clip, Manifest, write_manifest
from askaudio.pipeline import assemble as assemble_room
from askaudio.pipeline.assemble import assemble, run, train
from askaudio.pipeline.inputs import read_inputs

RATE = 8000
PITCHES = {"low": 200, "middle": 700, "high": 2500}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """30 tones of 0.5 s, one of 2.5 s, with two captions each; 18 train, 6 val, 6 test."""
    folder = tmp_path_factory.mktemp("library")
    rng = np.random.default_rng(0)
    clips = []
    for i in range(30):
        name = list(PITCHES)[i % 3]
        seconds = 2.5 if i == 0 else 0.5
        t = np.arange(int(seconds * RATE)) / RATE
        samples = 0.3 * np.sin(2 * np.pi * PITCHES[name] * rng.uniform(0.9, 1.1) * t) + 0.01 * rng.standard_normal(
            len(t)
        )
        soundfile.write(folder / f"{i}.wav", samples, RATE)
        texts = (f"a {name} tone", f"{name} beep number {i}")
        captions = tuple(Caption(f"{i}#{k}", text) for k, text in enumerate(texts))
        split = "train" if i < 18 else "val" if i < 24 else "test"
        clips.append(Clip(str(i), str(folder / f"{i}.wav"), captions, split=split, label=name))
    write_manifest(Manifest("tones", tuple(clips)), folder / "manifest.jsonl")
    return folder


def recipe_of(library, *overrides):
    return load_recipe(
        "demo",
        [
            f"data.manifest={library / 'manifest.jsonl'}",
            f"data.cache={library / 'cache'}",
            "model.sample_rate_hz=8000",
            "model.n_mels=32",
            "model.window_s=1",
            "model.embed_dim=16",
            "model.hidden_dim=16",
            "train.epochs=2",
            "train.batch_size=6",
            "train.device=cpu",
            *overrides,
        ],
    )


@pytest.fixture(scope="module")
def inputs(library):
    return read_inputs(recipe_of(library, "data.prompts=['{label}: {text}']"))


def test_inputs_hold_every_window_and_wording(library, inputs):
    assert inputs.audio["0"].shape[:2] == (3, 32) and inputs.audio["1"].shape[:2] == (1, 32)
    pairs = inputs.pairs()
    assert len(pairs) == 18 and pairs.n_entries == 36
    assert pairs.wordings[0][0] == [inputs.text_rows["a low tone"], inputs.text_rows["low: a low tone"]]
    np.testing.assert_allclose(np.linalg.norm(inputs.texts, axis=1), 1, atol=1e-5)
    queries = inputs.queries("test")
    assert queries.relevance.n_queries == 12 and queries.relevance.kind == "caption"
    np.testing.assert_array_equal(queries.texts[0], inputs.texts[inputs.text_rows["a low tone"]])


def test_inputs_come_from_the_cache_the_second_time(library, inputs, monkeypatch):
    def refuse(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr("askaudio.pipeline.inputs.read_windows", refuse)
    again = read_inputs(recipe_of(library))
    np.testing.assert_array_equal(again.audio["0"], inputs.audio["0"])
    with pytest.raises(AssertionError, match="decoded again"):
        read_inputs(recipe_of(library, "model.n_mels=64"))


def test_shared_texts_are_one_query_and_one_identity(library):
    one = Manifest(
        "m",
        tuple(
            Clip(str(i), str(library / f"{i}.wav"), (Caption(f"{i}#0", "tone"),), split="train" if i < 2 else "val")
            for i in range(4)
        ),
    )
    inputs = read_inputs(recipe_of(library, "data.same_text=true"), manifest=one)
    assert inputs.queries("val").relevance.n_queries == 1
    assert inputs.pairs()[0].identity == inputs.pairs()[1].identity


@pytest.mark.parametrize("kind", ["none", "ask", "static", "fine", "coarse", "blend", "random", "xbm", "queue"])
def test_every_kind_of_knowledge_trains(library, inputs, tmp_path, kind):
    recipe = recipe_of(library, f"knowledge={kind}", "knowledge.queue_size=12", "train.epochs=1")
    parts = assemble(recipe, inputs)
    assert (parts.objective.ask.base is None) == (kind in ("none", "xbm", "queue"))
    result = run(recipe, parts, tmp_path)
    named = {
        "none": set(),
        "xbm": {"queue"},
        "queue": {"queue"},
        "fine": {"fine"},
        "coarse": {"coarse"},
        "blend": set(),
    }
    assert set(result.history[0]["losses"]) == {"total", "batch"} | named.get(kind, {"fine", "coarse"})
    assert all(np.isfinite(v) for v in result.history[0]["losses"].values())


POLICIES = {
    "entries=clip": lambda o: len(o.ask.base) == 18 and not o.caption_entries,
    "read_every=4": lambda o: o.ask.candidates.every == 4,
    "refresh_early=16": lambda o: o.ask.refine.early == 16,
    "candidates=9": lambda o: (o.ask.candidates.hard, o.ask.candidates.random) == (3, 6),
    "refresh=steps refresh_steps=2 write_through=true": lambda o: o.ask.refine.steps == 2 and o.ask.write_through,
    "refresh=drift refresh_drift=0.5": lambda o: o.ask.refine.threshold == 0.5,
    "refresh_by=momentum momentum=0.5": lambda o: o.momentum is not None and o.ask.queue is None,
    "graph=mean graph_alpha=0.4 graph_depth=2": lambda o: (o.ask.refine.alpha, o.ask.refine.depth) == (0.4, 2),
    "graph=attention refresh=drift": lambda o: o.ask.graph_layer is not None,
    "reliability=agreement": lambda o: len(o.ask.state.reliability) == 36,
    "reliability=overlap": lambda o: 0 <= o.ask.state.reliability.min() < 1,
    "reliability=transport entries=clip": lambda o: len(o.ask.state.reliability) == 18,
    "reliability=dual_softmax": lambda o: 0 < o.ask.state.reliability.max() < 1,
}


@pytest.mark.parametrize("keys", POLICIES)
def test_every_policy_is_a_recipe_key(library, inputs, tmp_path, keys):
    overrides = [f"knowledge.{one}" for one in keys.split()]
    recipe = recipe_of(library, "knowledge=ask", *overrides, "knowledge.prototypes=4", "train.epochs=1")
    parts = assemble(recipe, inputs)
    assert POLICIES[keys](parts.objective)
    before = parts.objective.ask.base.text.clone()
    losses = run(recipe, parts, tmp_path).history[0]["losses"]
    assert set(losses) == {"total", "batch", "fine", "coarse"} and np.isfinite(list(losses.values())).all()
    drift_was_too_much = "drift" not in keys
    assert (not torch.equal(parts.objective.ask.base.text, before)) == drift_was_too_much


def test_a_clip_entry_holds_the_mean_of_its_captions(library, inputs):
    clips = assemble(recipe_of(library, "knowledge=ask", "knowledge.entries=clip"), inputs).objective.ask.base
    captions = assemble(recipe_of(library, "knowledge=ask"), inputs).objective.ask.base
    pairs = captions.text.float().reshape(18, 2, -1).mean(1)
    torch.testing.assert_close(clips.text.float(), torch.nn.functional.normalize(pairs, dim=1), rtol=0, atol=0.02)
    torch.testing.assert_close(clips.audio.float(), captions.audio.float()[::2], rtol=0, atol=0.02)


def test_soft_labels_by_text_and_by_a_teacher(library, inputs, tmp_path):
    plain = recipe_of(library, "train.epochs=1")
    run(plain, assemble(plain, inputs), tmp_path / "teacher")
    losses = {}
    for keys in (["knowledge=text_similarity"], ["knowledge=offline", f"knowledge.teacher={tmp_path / 'teacher'}"]):
        recipe = recipe_of(library, *keys, "train.epochs=1")
        losses[keys[0]] = run(recipe, assemble(recipe, inputs), tmp_path / keys[0]).history[0]["losses"]["batch"]
    assert len(set(losses.values())) == 2 and np.isfinite(list(losses.values())).all()
    with pytest.raises(ConfigError, match=r"knowledge\.teacher.*knowledge\.teacher=runs/plain"):
        recipe_of(library, "knowledge=offline")
    with pytest.raises(ConfigError, match=r"knowledge\.refresh: got 'never', expected one of epochs, steps, drift"):
        recipe_of(library, "knowledge=ask", "knowledge.refresh=never")


@pytest.mark.parametrize("kind", ["sigmoid", "triplet", "transport"])
def test_every_loss_trains_with_knowledge(library, inputs, tmp_path, kind):
    recipe = recipe_of(library, f"loss={kind}", "knowledge=ask", "knowledge.prototypes=4", "train.epochs=1")
    losses = run(recipe, assemble(recipe, inputs), tmp_path).history[0]["losses"]
    assert set(losses) == {"total", "batch", "fine", "coarse"} and np.isfinite(list(losses.values())).all()


def test_a_run_repeats_from_its_saved_recipe(library, tmp_path, monkeypatch):
    exported = []
    monkeypatch.setattr(assemble_room, "export", lambda model, folder, **_: exported.append(folder))
    first = train(recipe_of(library), tmp_path / "a", command="askaudio train demo ...")
    text = (tmp_path / "a" / "recipe.yaml").read_text()
    assert text.startswith("# askaudio train demo ...\n")
    assert yaml.safe_load(text)["train"]["batch_size"] == 6
    second = train(load_recipe(str(tmp_path / "a")), tmp_path / "b")
    assert first.validation == second.validation
    assert exported == [tmp_path / "a" / "encoder", tmp_path / "b" / "encoder"]
    with pytest.raises(ConfigError, match="already holds a run"):
        train(recipe_of(library), tmp_path / "a")
    with pytest.raises(ConfigError, match=r"another recipe.*\n.*train\.lr: 0\.001 there, 0\.5 here"):
        train(recipe_of(library, "train.lr=0.5"), tmp_path / "a", resume=True)
    assert train(recipe_of(library), tmp_path / "a", resume=True).validation == first.validation


def test_broken_and_missing_parts_are_named(library, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF nothing")
    bad = Manifest("m", (Clip("x", str(tmp_path / "bad.wav"), (Caption("x#0", "t"),), split="train"),))
    with pytest.raises(DataError, match=r"1 of 1 sounds cannot be read: .*bad\.wav"):
        read_inputs(recipe_of(library, f"data.cache={tmp_path}"), manifest=bad)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    empty = Manifest("m", (Clip("x", str(tmp_path / "empty.wav"), (Caption("x#0", "t"),), split="train"),))
    with pytest.raises(DataError, match=r"1 of 1 sounds cannot be read: .*empty\.wav"):
        read_inputs(recipe_of(library, f"data.cache={tmp_path}"), manifest=empty)


def test_a_split_without_clips_says_what_to_do(library):
    recipe = recipe_of(library, "data.exclude=['18', '19', '2?']")
    inputs = read_inputs(recipe)
    assert sorted(map(int, inputs.audio)) == list(range(18))
    with pytest.raises(DataError, match=r"val split.*data\.split=group"):
        inputs.queries("val")
