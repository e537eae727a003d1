"""Tiny random models of every architecture: train, resume after kill -9 bit for bit, export, index, search."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("transformers", reason="pip install 'askaudio[train]'")

from askaudio.config.load import load_recipe
from askaudio.core.errors import ConfigError, ModelError
from askaudio.data.manifest import Caption, Clip, Manifest, write_manifest
from askaudio.encoders.load import load
from askaudio.models.dual_encoder import DualEncoder
from askaudio.pipeline.assemble import assemble, run, train
from askaudio.pipeline.inputs import read_inputs
from askaudio.search.engine import SearchEngine
from hf_models import write_audio, write_text
from tower_files import write_ced, write_cnn14, write_mobilenet

RATE = 8000
PITCHES = {"low": 200, "high": 2500}
TOWERS = {  # audio tower -> recipe keys; each with another text tower and another way to train
    "efficientat": "model.audio_train=last model.audio_layers=3 model.text_train=last",
    "cnn14": "model.audio_train=whole model.text=hf:{text}/roberta model.text_train=whole train.ema=0.9",
    "ced": "model.audio_train=lora model.text=hf:{text}/mpnet model.text_train=lora knowledge=ask",
    "clap": "model.audio_train=whole model.text=hf:{text}/bert model.text_pooling=attention train.layer_decay=0.5",
    "ast": "model.audio_train=last model.audio_layers=1 model.text=hf:{text}/modernbert model.text_train=last",
    "whisper": "model.audio_train=frozen model.text=hf:{text}/m2m_100 model.text_train=lora",
    "wavlm": "model.audio_train=lora model.text=hf:{text}/xlm_roberta model.text_train=frozen",
    "hubert": "model.audio_train=last model.audio_layers=1 train.gradient_checkpointing=true",
    "data2vec": "model.audio_train=whole model.text=hf:{text}/t5 model.text_train=whole train.gradient_cache_chunk=4",
    "pe_audio": "model.audio_train=last model.text=hf:{text}/bert model.text_train=lora data.decode=stream data.mix=.5",
}

MORE = {  # what is combined with several processes
    "efficientat": ["train.gradient_cache_chunk=1", "train.ema=0.9"],
    "cnn14": ["train.gradient_checkpointing=true", "data.mask_time=0.2"],
    "ced": ["train.gradient_cache_chunk=1", "train.ema=0.5"],
    "clap": ["train.precision=bf16-mixed"],
    "ast": ["model.audio_head=segments"],
    "whisper": ["train.precision=bf16-mixed", "train.gradient_cache_chunk=2"],
    "wavlm": [],
    "hubert": ["train.gradient_cache_chunk=1"],
    "data2vec": ["train.layer_decay=0.7", "train.text_lr=0.0001"],
    "pe_audio": ["train.ema=0.9"],
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """24 tones of 0.5 to 1.5 s with two captions each; 12 train, 6 val, 6 test."""
    folder = tmp_path_factory.mktemp("library")
    rng = np.random.default_rng(0)
    clips = []
    for i in range(24):
        name = list(PITCHES)[i % 2]
        t = np.arange(int((0.5 + (i % 3) / 2) * RATE)) / RATE
        samples = 0.3 * np.sin(2 * np.pi * PITCHES[name] * rng.uniform(0.9, 1.1) * t)
        soundfile.write(folder / f"{i}.wav", samples + 0.01 * rng.standard_normal(len(t)), RATE)
        captions = tuple(Caption(f"{i}#{k}", text) for k, text in enumerate((f"a {name} tone", f"{name} beep")))
        split = "train" if i < 12 else "val" if i < 18 else "test"
        clips.append(Clip(str(i), str(folder / f"{i}.wav"), captions, split=split))
    write_manifest(Manifest("tones", tuple(clips)), folder / "manifest.jsonl")
    return folder


def keys_of(kind, library, folder):
    """Recipe keys of a row of ``TOWERS``; its tower is written into ``folder``."""
    folder.mkdir(exist_ok=True)
    writers = {"efficientat": write_mobilenet, "cnn14": write_cnn14, "ced": write_ced}
    if kind in writers:
        writers[kind](folder / "tower")
        own = [f"model.audio={kind}", f"model.audio_weights={folder / 'tower'}"]
    else:
        own = [f"model.audio=hf:{write_audio(folder / 'tower', kind)}"]
    text = TOWERS[kind].partition("hf:{text}/")[2].split(" ")[0]
    if text:
        write_text(folder / "text" / text, text)
    return [
        f"data.manifest={library / 'manifest.jsonl'}", f"data.cache={folder / 'cache'}", "model.window_s=1",
        "data.same_text=true", "model.embed_dim=8", "model.hidden_dim=8", "train.epochs=2", "train.batch_size=6",
        "train.lr=0.001", "train.device=cpu", "train.save_every_steps=1", "data.mask_time=0", "train.threads=1",
        *own, *TOWERS[kind].format(text=folder / "text").split(),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", TOWERS)
def test_train_export_index_search(kind, library, tmp_path):
    recipe = load_recipe("demo", [*keys_of(kind, library, tmp_path), "train.epochs=1"])
    first = train(recipe, tmp_path / "run")
    assert all(np.isfinite(list(entry["losses"].values())).all() for entry in first.history)
    encoder, model = load(tmp_path / "run"), DualEncoder.load(tmp_path / "run")
    sound = soundfile.read(library / "0.wav", dtype="float32")[0]
    if encoder.sample_rate_hz == RATE:
        with torch.inference_mode():
            expected = model.encode_audio((torch.from_numpy(model.front_end(sound))[None],)).numpy()
        np.testing.assert_allclose(encoder.encode_audio([sound]), expected, atol=1e-4)
    with SearchEngine.build(library, model=str(tmp_path / "run"), collection=tmp_path / "collection") as engine:
        assert engine.search("a low tone", top_k=3)


@pytest.mark.slow
def test_killed_with_kill_9_and_resumed_every_architecture_has_the_same_bits(library, tmp_path):
    rows = {kind: keys_of(kind, library, tmp_path / kind) for kind in TOWERS}
    assert in_forks(rows, tmp_path) == f"{len(rows)} of {len(rows)} bit-equal\n"


@pytest.mark.slow
def test_every_architecture_trains_in_two_processes(library, tmp_path):
    rows = {kind: [*keys_of(kind, library, tmp_path / kind), "train.epochs=1", *more] for kind, more in MORE.items()}
    assert in_forks(rows, tmp_path, "--processes") == f"{len(rows)} of {len(rows)} trained\n"


def in_forks(rows, folder, *options):
    """What kill_towers.py prints for these rows."""
    (folder / "rows.json").write_text(json.dumps(rows))
    script = Path(__file__).parents[1] / "support" / "kill_towers.py"
    done = subprocess.run(
        [sys.executable, str(script), str(folder / "rows.json"), str(folder / "runs"), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    sys.stderr.write(done.stderr[-4000:])
    return done.stdout


def test_only_what_is_named_is_trained(library, tmp_path):
    keys = keys_of("efficientat", library, tmp_path)
    recipe = load_recipe("demo", [*keys, "train.epochs=1"])
    parts = assemble(recipe, read_inputs(recipe))
    assert parts.model.audio_tower.skip == 14  # the first convolution and 13 blocks ran once
    before = {name: value.clone() for name, value in parts.model.state_dict().items()}
    run(recipe, parts, tmp_path / "run")
    after = parts.model.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    audio = {name.split(".")[2] for name in moved if name.startswith("audio_tower.features")}
    assert audio == {"14", "15", "16"}
    text = {name.split(".")[4] for name in moved if name.startswith("text_tower.")}
    assert text == {"4", "5"}


def test_kept_maps_give_what_the_whole_tower_gives(library, tmp_path):
    keys = keys_of("efficientat", library, tmp_path)
    losses = []
    for more in ([], ["data.mask_mels=1e-9"]):  # a mask, even an empty one, needs spectrograms
        same = ["train.epochs=1", "model.dropout=0", "model.text_train=frozen"]  # nothing else is drawn
        recipe = load_recipe("demo", [*keys, *more, *same])
        losses.append(
            run(recipe, assemble(recipe, read_inputs(recipe)), tmp_path / f"r{len(more)}").history[0]["losses"]
        )
    assert losses[0]["total"] == pytest.approx(losses[1]["total"], rel=0.02)  # maps are kept in half precision


def test_workers_change_nothing(library, tmp_path):
    keys = keys_of("pe_audio", library, tmp_path)
    found = []
    for workers in (0, 2):
        recipe = load_recipe("demo", [*keys, f"train.workers={workers}", "train.epochs=1"])
        entry = run(recipe, assemble(recipe, read_inputs(recipe)), tmp_path / f"w{workers}").history[0]
        found.append(entry["losses"])
        assert entry["waited"] <= entry["seconds"]
    assert found[0] == found[1]


def test_a_head_over_the_frames_of_a_trained_tower(library, tmp_path):
    keys = keys_of("ced", library, tmp_path)
    train(load_recipe("demo", [*keys, "model.audio_head=segments", "train.epochs=1"]), tmp_path / "run")
    model = DualEncoder.load(tmp_path / "run")
    assert model.audio_projection.kind == "segments"
    assert load(tmp_path / "run").encode_text(["a"]).shape == (1, 8)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("model.audio=vggish", "one of efficientat, cnn, cnn14, ced, or hf:NAME_OR_FOLDER"),
        ("model.audio=cnn14", r"model\.audio_weights: cnn14 needs the authors' file"),
        ("model.audio=ced model.audio_weights=x data.mask_time=0.1", r"data\.mask_time: the audio tower is frozen"),
        ("model.audio=cnn data.mix=0.5", r"data\.mix: needs waveforms and words"),
        ("model.audio=cnn train.layer_decay=1.5", r"train\.layer_decay: got 1\.5, expected at most 1"),
        ("model.init=small model.text_train=whole", r"model\.init: keeps both sides frozen"),
        ("model.audio=cnn model.text_train=last knowledge=text_similarity", "text_similarity compares"),
    ],
)
def test_wrong_towers_are_named(keys, fault):
    with pytest.raises(ConfigError, match=fault):
        load_recipe("demo", ["data.manifest=x", *keys.split()])


def test_towers_that_are_not_here(library, tmp_path):
    base = [f"data.manifest={library / 'manifest.jsonl'}", f"data.cache={tmp_path}"]
    with pytest.raises(ModelError, match="askaudio models pull hf:owner/name"):
        read_inputs(load_recipe("demo", [*base, "model.audio=hf:owner/name"]))
    with pytest.raises(ModelError, match=r"no CNN14 weights at .*none\.pth"):
        read_inputs(load_recipe("demo", [*base, "model.audio=cnn14", "model.audio_weights=none.pth"]))
    write_cnn14(tmp_path / "cnn14.pth")
    with pytest.raises(ModelError, match=r"LoRA needs linear layers.*model\.audio_train=last"):
        read_inputs(
            load_recipe("demo", [*base, "model.audio=cnn14", f"model.audio_weights={tmp_path / 'cnn14.pth'}",
                                 "model.audio_train=lora"])
        )  # fmt: skip


def test_no_memory_names_the_keys(library, tmp_path, monkeypatch):
    keys = keys_of("efficientat", library, tmp_path)
    recipe = load_recipe("demo", keys)
    parts = assemble(recipe, read_inputs(recipe))

    def full(*_args, **_more):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("askaudio.models.dual_encoder.DualEncoder.forward", full)
    with pytest.raises(ModelError, match=r"train\.gradient_cache_chunk.*train\.precision=bf16-mixed"):
        run(recipe, parts, tmp_path / "run")


def test_the_resolved_recipe_holds_the_towers(library, tmp_path):
    keys = keys_of("ast", library, tmp_path)
    recipe = load_recipe("demo", keys)
    assert json.loads(json.dumps(recipe.model.audio)) == f"hf:{Path(tmp_path / 'tower')}"
