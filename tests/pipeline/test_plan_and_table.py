"""What recipes need, without data and weights; and a table of recipes that continues where it was stopped."""

import json

import pytest

pytest.importorskip("transformers", reason="pip install 'askaudio[train]'")

from askaudio.cli import main
from askaudio.config.load import load_recipe
from askaudio.core.errors import ConfigError
from askaudio.pipeline import table as tables
from askaudio.pipeline.plan import PAIRS, plan
from layouts import make_audiocaps

SMALL = [
    "model.sample_rate_hz=16000", "model.n_mels=32", "model.window_s=1", "model.embed_dim=16", "model.hidden_dim=16",
    "train.epochs=1", "train.batch_size=12", "train.device=cpu", "train.threads=1", "knowledge.prototypes=8",
]  # fmt: skip


def planned(name, *keys):
    recipe = load_recipe(name, ["data.manifest=none", *keys])
    recipe.data.manifest = ""
    return plan(recipe)


def test_parameters_of_known_towers():
    found = planned("audiocaps_cnn14_bert", "model.audio_weights=Cnn14_mAP=0.431.pth")
    assert (round(found.audio_parameters / 1e6, 1), round(found.text_parameters / 1e6, 1)) == (79.7, 108.9)
    assert found.steps == 50 * (PAIRS["audiocaps"] // 32)
    large = planned("clotho_mn40_roberta", "model.audio_weights=mn40_as_ext_mAP_487.pt", "model.text_train=frozen")
    assert round(large.text_parameters / 1e6) == 354
    assert large.weights_bytes == 4 * (large.trained * 4 + large.text_parameters)
    assert planned("audiocaps_cnn14_bert", "model.audio_weights=x", "model.audio_train=last").trained < found.trained


def test_memory_grows_with_the_pairs_that_are_encoded_at_once():
    whole, pieces = (
        planned("audiocaps_cnn", f"train.gradient_cache_chunk={chunk}", "train.batch_size=64") for chunk in (0, 16)
    )
    assert whole.batch_bytes == 4 * pieces.batch_bytes > 0
    assert whole.flops == pieces.flops > 0


def test_list_and_plan_print_json(capsys):
    assert main(["train", "audiocaps_cnn", "--plan", "train.batch_size=16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 50 * (PAIRS["audiocaps"] // 16)
    assert main(["train", "audiocaps_cnn", "--plan"]) == 0
    out = capsys.readouterr().out
    assert "audio tower: 0.8 M parameters" in out and "train.gradient_cache_chunk" in out
    assert main(["train", "no_such_recipe", "--plan"]) == 2
    assert "no recipe" in capsys.readouterr().err


def test_list_names_every_recipe_with_its_source(capsys, monkeypatch):
    from askaudio.config.load import shipped_recipes

    kept = {name: path for name, path in shipped_recipes().items() if name in ("clotho_cnn14_bert", "demo")}
    monkeypatch.setattr("askaudio.config.load.shipped_recipes", lambda: kept)
    assert main(["train", "--list", "--json"]) == 0
    rows = {row["recipe"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["clotho_cnn14_bert"]["source"].startswith("the paper") and rows["demo"]["published"] == ""
    assert main(["train", "--list"]) == 0
    assert "cnn14 (whole) + hf:google-bert/bert-base-uncased (frozen), batch of 24" in capsys.readouterr().out


def test_a_table_continues_and_is_written_in_two_forms(tmp_path, capsys, monkeypatch):
    root = make_audiocaps(tmp_path / "audiocaps", train=24)
    command = [
        "table", f"audiocaps:{root}", "--recipes", "audiocaps_cnn", "--seeds", "2", "--out", str(tmp_path / "results"),
        f"data.cache={tmp_path / 'cache'}", *SMALL,
    ]  # fmt: skip
    plain, trained = tables.train, []

    def stop_in_the_third(recipe, folder, **options):
        trained.append(folder.name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return plain(recipe, folder, **options)

    monkeypatch.setattr(tables, "train", stop_in_the_third)
    assert main(command) == 130
    assert main(command) == 0
    assert trained == ["audiocaps_cnn-0", "audiocaps_cnn-1", "audiocaps_cnn-ASK-0", "audiocaps_cnn-ASK-0",
                       "audiocaps_cnn-ASK-1"]  # fmt: skip
    capsys.readouterr()
    assert main([*command, "--json"]) == 0 and len(trained) == 5  # everything is there
    found = json.loads(capsys.readouterr().out)["t2a/R@1"][0]
    assert [(s["name"], s["n_seeds"]) for s in found["systems"]] == [("audiocaps_cnn", 2), ("audiocaps_cnn + ASK", 2)]
    markdown = (tmp_path / "results" / "table.md").read_text()
    assert "| audiocaps_cnn + ASK - audiocaps_cnn " in markdown and "| system " in markdown
    assert r"\begin{tabular}" in (tmp_path / "results" / "table.tex").read_text()


def test_faults_of_a_table_come_before_any_work(tmp_path):
    with pytest.raises(ConfigError, match="different names"):
        tables.run_table("x", ["audiocaps_cnn", "audiocaps_cnn"], tmp_path)
    with pytest.raises(ConfigError, match="no recipe"):
        tables.run_table("x", ["audiocaps_cnn", "none"], tmp_path)
    assert not list(tmp_path.iterdir())
