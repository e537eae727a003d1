"""``SearchEngine.build``: one call from folders to an engine; the same collection as that of ``askaudio index``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from askaudio.cli import main
from askaudio.core.errors import CollectionNotFoundError, ConfigError, IndexStoreError
from askaudio.encoders.toy import ToyEncoder
from askaudio.search.engine import SearchEngine
from tones import write_tone


def test_a_folder_becomes_a_collection_that_later_calls_update(library: Path, tmp_path: Path) -> None:
    (library / "broken.wav").write_bytes(b"RIFF")
    with SearchEngine.build(library, tmp_path / "collection", "toy") as engine:
        assert engine.report is not None and engine.report.added == 6
        assert list(engine.report.broken) == [str(library / "broken.wav")]
        assert Path(engine.search("6000 hz", words=False)[0].path).name == "tone_6000.wav"
        assert engine.store.mode == "r"
    write_tone(library / "new.wav", 440)
    with SearchEngine.build([library], tmp_path / "collection") as engine:  # the model is known
        assert engine.report is not None
        assert (engine.report.added, engine.report.unchanged, len(engine.report.broken)) == (1, 6, 1)
        assert engine.info()["model"] == "toy"
    with SearchEngine.open(tmp_path / "collection") as engine:
        assert (engine.report, engine.info()["clips"]) == (None, 7)


def test_build_and_the_command_line_make_the_same_collection(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = [{"id": "a", "path": "tone_400.wav", "captions": ["a horn"]}]
    (library / "manifest.jsonl").write_text("\n".join(map(json.dumps, manifest)))
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(tmp_path / "default"))
    assert (
        main(["index", str(library), "--collection", str(tmp_path / "shell"), "--model", "toy", "--workers", "1"]) == 0
    )
    with (
        SearchEngine.build(library, model="toy") as built,
        SearchEngine.open(tmp_path / "shell") as shell,
        SearchEngine.open() as default,
    ):
        for mine, theirs in zip(built.store.iterate(), shell.store.iterate(), strict=True):
            assert (mine.entry_id, mine.path, mine.metadata) == (theirs.entry_id, theirs.path, theirs.metadata)
            assert mine.vector.tolist() == theirs.vector.tolist()
        assert built.store.url == default.store.url == str(tmp_path / "default")
        for text in ("low hum", "a horn"):
            assert built.search(text) == shell.search(text)
        assert built.search("a horn", top_k=1)[0].metadata["caption"] == "a horn"


def test_captions_and_an_encoder_of_the_caller(library: Path) -> None:
    captions = {library / "tone_400.wav": "a horn", str(library / "tone_1500.wav"): ["a bell", "a chime"]}
    with SearchEngine.build(library, "memory:", ToyEncoder(), captions=captions) as engine:
        assert engine.search("horn", top_k=1)[0].words == ("horn",)
        assert engine.search("chime", top_k=1)[0].metadata["caption"] == ["a bell", "a chime"]


def test_wrong_use_is_refused(library: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        SearchEngine.build(library / "nothing", tmp_path / "c", "nothing")
    assert not (tmp_path / "c").exists()
    SearchEngine.build(library, tmp_path / "c", "toy").close()
    with pytest.raises(IndexStoreError, match="two encoders"):
        SearchEngine.build(library, tmp_path / "c", "toy:dim=64")
    SearchEngine.build(library, tmp_path / "c").close()  # the refused call left no lock
    with pytest.raises(CollectionNotFoundError, match="make one: askaudio index"):
        SearchEngine.open(tmp_path / "none")
