"""The recipes for AudioCaps and Clotho, from the official layout on disk to R@k, on small made audio."""

import json
import re

import pytest

from askaudio.cli import main
from askaudio.config.load import load_recipe, shipped_recipes
from layouts import SOUNDS, make_audiocaps, make_clotho

MAKE = {"audiocaps": make_audiocaps, "clotho": make_clotho}
NAMES = [name for name in shipped_recipes() if name.split("_")[0] in MAKE]
SMALL = [
    "model.sample_rate_hz=16000", "model.n_mels=32", "model.window_s=1", "model.embed_dim=16", "model.hidden_dim=16",
    "train.epochs=2", "train.batch_size=12", "train.device=cpu", "train.threads=1",
]  # fmt: skip

COUNTS = {
    "audiocaps": {"clips": 5, "captions": 25, "missing_clips": 1},
    "clotho": {"clips": 6, "captions": 30, "missing_clips": 0},
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    audiocaps = make_audiocaps(tmp_path_factory.mktemp("audiocaps"), train=24, dead=(35,))  # one test clip is gone
    return {"audiocaps": audiocaps, "clotho": make_clotho(tmp_path_factory.mktemp("clotho"), train=24)}


def train_and_evaluate(recipe, root, out, capsys, *overrides):
    """What the head of a recipe says, with small numbers; the two JSON answers."""
    spec = f"{recipe.split('_')[0]}:{root}"
    cache = f"data.cache={root / 'cache'}"
    assert main(["train", recipe, f"data.manifest={spec}", cache, *overrides, "--out", str(out), "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(out), "--data", spec, "--json"]) == 0
    return trained, json.loads(capsys.readouterr().out)


KINDS = ("batch24", "ced_sonar", "clap", "cnn", "cnn14_bert", "htsat_roberta", "mn40_roberta")


def test_there_are_recipes_of_each_kind_for_both_sets():
    assert [f"{corpus}_{kind}" for corpus in MAKE for kind in KINDS] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_recipe_is_valid_and_says_how_it_scored(name):
    head = re.match(r"(#.*\n)+", shipped_recipes()[name].read_text())[0]
    assert f"askaudio train {name} data.manifest={name.split('_')[0]}:" in head
    assert "knowledge=ask" in head and "Differs:" in head
    assert re.search(r"Score here: (not run|[^\n]*\d)", head)  # a number, or the plain statement that there is none
    for knowledge in ("none", "ask"):
        recipe = load_recipe(name, ["data.manifest=x", "model.audio_weights=y", f"knowledge={knowledge}"])
        assert recipe.name == name and recipe.knowledge.kind == knowledge
    assert (recipe.train.batch_size == 24) or not name.endswith(("batch24", "ced_sonar"))
    assert not name.endswith(KINDS[1:2] + KINDS[4:]) or re.search(r"# Published: .*\n(# .*\n)*# Source: ", head)
    assert recipe.data.captions == ("one" if name.startswith("audiocaps") else "all")


@pytest.mark.parametrize(("corpus", "knowledge"), [("audiocaps", "ask"), ("clotho", "none")])
def test_cnn_recipe_from_official_layout_to_a_report(corpus, knowledge, roots, tmp_path, capsys):
    extra = [*SMALL, f"knowledge={knowledge}"] + (["knowledge.prototypes=8"] if knowledge == "ask" else [])
    trained, report = train_and_evaluate(f"{corpus}_cnn", roots[corpus], tmp_path / "run", capsys, *extra)
    assert trained["epochs"] == 2
    assert f"{corpus}:test" in report["protocol"].values()
    assert report["counts"] == COUNTS[corpus]
    assert (tmp_path / "run" / "encoder" / "encoder.json").is_file()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "knowledge", "head"),
    [("audiocaps_batch24", "ask", "mean"), ("clotho_clap", "none", "mean"), ("clotho_clap", "none", "segments")],
)
def test_recipe_with_pretrained_towers_learns_the_sounds(name, knowledge, head, roots, shared, tmp_path, capsys):
    weights = shared / "models" / "efficientat_mn04" / "mn04_as.onnx"
    extra = [f"model.audio_weights={weights}", "train.epochs=8", "train.batch_size=24", "train.lr=0.01"]
    extra += ["train.device=cpu", "model.embed_dim=32", "model.hidden_dim=32", "train.threads=1"]
    extra += [f"model.audio_head={head}"]
    extra += ["knowledge=ask", "knowledge.prototypes=8"] if knowledge == "ask" else []
    _, report = train_and_evaluate(name, roots[name.split("_")[0]], tmp_path / "run", capsys, *extra)
    assert report["metrics"]["t2a/R@1"]["value"] > 3 / len(SOUNDS)  # chance is one of six
