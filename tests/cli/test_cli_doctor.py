"""askaudio doctor: what is there, what is missing, the command for each; exit code 1 when search cannot work."""

import json
import sys

import pytest

from askaudio.cli import main


@pytest.fixture
def doctor(capsys, monkeypatch, tmp_path):
    """Run the doctor and give (exit code, findings by name)."""
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(tmp_path / "collection"))

    def run(*arguments):
        code = main(["doctor", "--json", *arguments])
        report = json.loads(capsys.readouterr().out)
        assert report["ok"] == (code == 0)
        return code, {finding["what"]: finding for finding in report["findings"]}

    return run


def test_a_working_machine(doctor):
    code, found = doctor()
    assert code == 0
    for name in ("Python", "numpy", "onnxruntime", "lancedb", "format mp3", "format opus", "disk"):
        assert found[name]["state"] == "ok", found[name]
    assert found["collection"]["state"] == "note"
    assert found["collection"]["fix"] == "askaudio index FOLDER"


def test_a_missing_package_is_broken_and_has_its_pip_line(doctor, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    code, found = doctor()
    assert code == 1
    assert found["faiss-cpu"]["state"] == "broken"
    assert found["faiss-cpu"]["fix"].endswith("-m pip install --upgrade faiss-cpu")


def test_a_missing_extra_is_only_noted(doctor, monkeypatch):
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, package=None: None if name == "av" else find(name, package))
    code, found = doctor()
    assert code == 0
    assert found["extra codec"]["state"] == found["format m4a"]["state"] == "note"
    assert found["extra codec"]["fix"].endswith("'askaudio[codec]'")


def test_a_libsndfile_without_mp3(doctor, monkeypatch):
    import soundfile

    write = soundfile.write

    def no_mp3(file, data, samplerate, format=None, subtype=None):
        if format == "MP3":
            raise ValueError("Unknown format: 'MP3'")
        write(file, data, samplerate, format=format, subtype=subtype)

    monkeypatch.setattr(soundfile, "write", no_mp3)
    code, found = doctor()
    assert code == 1
    assert "Unknown format" in found["format mp3"]["found"]
    assert found["format wav"]["state"] == "ok"


def test_a_collection_folder_that_cannot_be_written(doctor, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, found = doctor("--collection", str(tmp_path / "file" / "collection"))
    assert code == 1
    assert found["collection"]["state"] == "broken"
    assert "ASKAUDIO_COLLECTION" in found["collection"]["fix"]


def test_models(doctor, tmp_path):
    assert doctor("--model", "toy")[1]["model"]["state"] == "ok"
    code, found = doctor("--model", str(tmp_path))
    assert code == 1
    assert "askaudio export" in found["model"]["found"]


def test_for_people(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(tmp_path))
    assert main(["doctor"]) == 0
    assert "everything that search needs is installed" in capsys.readouterr().out
