"""Recipes: defaults, files, overrides, and every fault of all keys in one message."""

from dataclasses import asdict

import pytest
import yaml

from askaudio.config.load import dump_recipe, find_recipe, load_recipe, shipped_recipes
from askaudio.config.schema import Recipe
from askaudio.core.errors import ConfigError

GIVEN = ["data.manifest=m.jsonl", "model.audio_weights=a.onnx"]


def write(tmp_path, text):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return str(path)


def test_overrides_win_over_file_over_defaults(tmp_path):
    path = write(tmp_path, "seed: 4\ntrain:\n  lr: 1e-4\n  epochs: 7\nknowledge: ask\n")
    recipe = load_recipe(path, [*GIVEN, "train.epochs=9", "data.prompts=['a {text}']", "data.exclude=x/*"])
    assert (recipe.seed, recipe.train.lr, recipe.train.epochs) == (4, 1e-4, 9)
    assert recipe.knowledge.kind == "ask" and recipe.train.batch_size == Recipe().train.batch_size
    assert recipe.data.prompts == ["a {text}"] and recipe.data.exclude == ["x/*"]


def test_a_section_may_be_one_word_in_file_and_override(tmp_path):
    path = write(tmp_path, "knowledge: none\nloss: ntxent\n")
    assert load_recipe(path, GIVEN).knowledge.kind == "none"
    recipe = load_recipe(path, [*GIVEN, "knowledge=xbm", "knowledge.queue_size=512"])
    assert (recipe.knowledge.kind, recipe.knowledge.queue_size) == ("xbm", 512)


def test_all_faults_are_told_together(tmp_path):
    text = (
        "trian: {}\nseed: -1\ntrain:\n  lr: fast\n  epochs: 1.5\n  batchsize: 3\ndata: 5\nmodel:\n  audio: wave2vec\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(tmp_path, text), ["loss.temperature=0", "train.dropout", "loss.learn_temperature=2"])
    message = str(caught.value)
    for part in (
        "10 fault(s)",
        "trian: no such key; did you mean train?",
        "seed: got -1, expected at least 0",
        "train.lr: got 'fast', expected a number",
        "train.epochs: got 1.5, expected a whole number",
        "train.batchsize: no such key; did you mean batch_size?",
        "data: expected keys and values, got 5",
        "model.audio: got 'wave2vec', expected one of efficientat, cnn",
        "loss.temperature: got 0, expected more than 0",
        "'train.dropout': expected key=value",
        "loss.learn_temperature: got 2, expected true or false",
    ):
        assert part in message, part


def test_faults_that_need_two_keys():
    with pytest.raises(ConfigError) as caught:
        load_recipe("sounds", ["data.prompts=[sound]", "knowledge=xbm", "knowledge.queue_size=8"])
    message = str(caught.value)
    assert all(key in message for key in ("data.manifest", "model.audio_weights", "{text}", "knowledge.queue_size"))


@pytest.mark.parametrize("value", ["nan", "inf", "true", "[1]", "null", "-.inf"])
def test_numbers_must_be_numbers(value):
    with pytest.raises(ConfigError, match=r"train\.lr: got"):
        load_recipe("sounds", [*GIVEN, f"train.lr={value}"])


def test_a_list_that_is_no_yaml_is_a_fault_and_a_pattern_is_a_text():
    assert load_recipe("sounds", [*GIVEN, "data.exclude=*.wav"]).data.exclude == ["*.wav"]
    with pytest.raises(ConfigError, match=r"data\.exclude: got \[\*\.wav, b\], expected YAML"):
        load_recipe("sounds", [*GIVEN, "data.exclude=[*.wav, b]"])


def test_unknown_recipes_list_the_shipped_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"did you mean sounds\?.*demo, finetune, sounds"):
        load_recipe("sound")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_recipe(write(tmp_path, "a: [\n"))
    with pytest.raises(ConfigError, match="expected keys and values, got list"):
        load_recipe(write(tmp_path, "- a\n"))


def test_a_run_folder_is_a_recipe(tmp_path):
    recipe = load_recipe("sounds", [*GIVEN, "train.lr=0.0003", "knowledge=ask"])
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe, "askaudio train sounds\nsecond line"))
    assert find_recipe(str(tmp_path)) == tmp_path / "recipe.yaml"
    assert load_recipe(str(tmp_path)) == recipe
    assert (tmp_path / "recipe.yaml").read_text().startswith("# askaudio train sounds\n# second line\n")


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipes_begin_with_their_command_and_load(name):
    path = shipped_recipes()[name]
    first = path.read_text().splitlines()[0]
    assert first.startswith(f"# askaudio train {name}")
    overrides = [word for word in first.split() if "=" in word]
    recipe = load_recipe(name, overrides)
    assert recipe.name == name
    assert yaml.safe_load(dump_recipe(recipe)) == asdict(recipe)
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any("Score" in line for line in head), "the head says what the command scored, or that it was not run"
