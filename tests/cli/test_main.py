"""The dispatcher: instant help, one file a command, and how faults leave the house."""

import importlib
import json
import os
import resource
import subprocess
import sys

import pytest

from askaudio import __version__
from askaudio.cli import COMMANDS, main
from askaudio.core.errors import DataError

HEAVY = ("numpy", "torch", "lightning", "lancedb", "onnxruntime", "rich", "yaml", "fastapi")


def test_help_is_instant_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom askaudio.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.strip().endswith("[]")
    assert all(command in done.stdout for command in COMMANDS)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent_s < 0.3, f"{spent_s:.2f} s of CPU"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name, capsys):
    module = importlib.import_module(f"askaudio.cli.{name}")
    assert module.HELP and callable(module.run)
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert f"askaudio {name}" in told and "--json" in told


def test_no_command_shows_the_overview(capsys):
    assert main([]) == 0
    assert "examples:" in capsys.readouterr().out


def test_unknown_commands_are_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["serch"])
    assert caught.value.code == 2
    assert "serch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["serch"], "search"),
        (["search", "rain", "--colection", "x"], "--collection"),
        (["search", "rain", "--tpo", "3"], "--top"),
        (["index", "x", "--modle", "toy"], "--model"),
        (["collection", "lst"], "list"),
        (["models", "shwo"], "show"),
        (["train", "demo", "--resme"], "--resume"),
    ],
)
def test_the_nearest_command_option_or_choice_is_named(argv, meant, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["train", "deom"], "did you mean demo?"),
        (["index", ".", "--model", "smal", "--collection", "{tmp}/new"], "did you mean small?"),
        (["models", "show", "eficientat"], "did you mean efficientat?"),
        (["search", "rain", "--collection", "{tmp}/libary"], "did you mean --collection {tmp}/library?"),
    ],
)
def test_the_nearest_recipe_model_or_collection_is_named(argv, meant, tmp_path, capsys):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "collection.json").write_text("{}")
    assert main([word.replace("{tmp}", str(tmp_path)) for word in argv]) == 2
    assert meant.replace("{tmp}", str(tmp_path)) in capsys.readouterr().err


def test_nothing_is_suggested_for_what_resembles_nothing(capsys):
    with pytest.raises(SystemExit):
        main(["xyzzy"])
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "extra"),
    [("torch", "train"), ("lightning.pytorch", "train"), ("av", "codec"), ("matplotlib", "figures")],
)
def test_a_missing_extra_ends_with_its_pip_line(module, extra, monkeypatch, capsys):
    def fail(args):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("askaudio.cli.diagnose.run", fail)
    assert main(["diagnose", "x"]) == 2
    assert f"pip install 'askaudio[{extra}]'" in capsys.readouterr().err


def test_an_import_that_no_extra_installs_is_not_hidden(monkeypatch):
    def fail(args):
        raise ImportError("cannot import name 'x' from 'askaudio'", name="askaudio")

    monkeypatch.setattr("askaudio.cli.diagnose.run", fail)
    with pytest.raises(ImportError):
        main(["diagnose", "x"])


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [(DataError("x.csv is empty"), 2, "x.csv is empty"), (KeyboardInterrupt(), 130, "interrupted")],
)
def test_faults_become_exit_codes(fault, code, told, monkeypatch, capsys):
    def fail(args):
        raise fault

    monkeypatch.setattr("askaudio.cli.train.run", fail)
    assert main(["train", "demo"]) == code
    assert told in capsys.readouterr().err


def test_faults_are_json_where_json_is_asked_for(monkeypatch, capsys):
    def fail(args):
        raise DataError("x.csv is empty")

    monkeypatch.setattr("askaudio.cli.train.run", fail)
    assert main(["train", "demo", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": "DataError", "message": "x.csv is empty"}


def test_errors_of_our_own_code_are_not_hidden(monkeypatch):
    def fail(args):
        raise ZeroDivisionError

    monkeypatch.setattr("askaudio.cli.train.run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["train", "demo"])
