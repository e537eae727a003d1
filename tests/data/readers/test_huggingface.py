"""Saved data sets and parquet files with audio inside, or with paths."""

import io
import sys

import pytest
import soundfile

from askaudio.audio.decode import decode
from askaudio.core.errors import DataError, MissingExtraError
from askaudio.data.readers.open import open_dataset
from layouts import RATE_HZ, tone

datasets = pytest.importorskip("datasets")


def wav(seed: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(440, seed, 0.2), RATE_HZ, format="WAV")
    return buffer.getvalue()


def rows() -> list[dict]:
    """One row a caption, as AudioCaps lies on the Hub: two rows share one sound."""
    sound = [{"bytes": wav(k), "path": f"{name}.wav"} for k, name in enumerate(("dog", "bell"))]
    return [
        {"audio": sound[0], "caption": "A dog barks", "mood": "calm"},
        {"audio": sound[0], "caption": "Barking", "mood": "calm"},
        {"audio": sound[1], "caption": "A bell rings", "mood": None},
    ]


def saved(folder, audio=True):
    data = datasets.Dataset.from_list(rows())
    data = data.cast_column("audio", datasets.Audio()) if audio else data
    return datasets.DatasetDict({"train": data, "validation": data.select([2])})


def contents(manifest):
    return [(clip.clip_id.split("@")[0], clip.split, [c.text for c in clip.captions]) for clip in manifest]


EXPECTED = [
    ("dog", "train", ["A dog barks", "Barking"]),
    ("bell", "train", ["A bell rings"]),
    ("bell", "val", ["A bell rings"]),
]


def test_saved_to_disk(tmp_path):
    saved(tmp_path).save_to_disk(tmp_path / "set")
    manifest = open_dataset(f"hf:{tmp_path / 'set'}?cache={tmp_path / 'cache'}")
    assert contents(manifest) == EXPECTED
    assert manifest.clips[0].extra == {"mood": "calm"}
    assert decode(manifest.clips[0].path, RATE_HZ).shape == (int(0.2 * RATE_HZ),)
    assert manifest.clips[1].path != manifest.clips[2].path  # the same sound in two splits stays two clips


def test_parquet_says_the_same(tmp_path):
    (tmp_path / "set").mkdir()
    for split, data in saved(tmp_path).items():
        data.to_parquet(tmp_path / "set" / f"{split}-00000-of-00001.parquet")
    assert contents(open_dataset(f"hf:{tmp_path / 'set'}?cache={tmp_path / 'cache'}")) == EXPECTED


def test_extraction_is_reused_until_the_source_changes(tmp_path):
    path = tmp_path / "set.parquet"
    saved(tmp_path)["train"].to_parquet(path)
    calls = []
    spec = f"{path}?cache={tmp_path / 'cache'}"
    for _ in range(2):
        open_dataset(spec, progress=lambda done, total, note="": calls.append(done))
    assert calls == [1, 2, 3]
    saved(tmp_path)["train"].select([0]).to_parquet(path)
    assert contents(open_dataset(spec)) == [("dog", None, ["A dog barks"])]


def test_rows_with_paths_are_not_copied(tmp_path):
    soundfile.write(tmp_path / "dog.wav", tone(440, 0, 0.1), RATE_HZ)
    data = datasets.Dataset.from_list([{"file": name, "text": "A dog"} for name in ("dog.wav", "gone.wav")])
    data.to_parquet(tmp_path / "set.parquet")
    manifest = open_dataset(f"{tmp_path / 'set.parquet'}?cache={tmp_path / 'cache'}")
    assert [clip.path for clip in manifest] == [str(tmp_path / "dog.wav")]
    assert [fault.kind for fault in manifest.faults] == ["no audio"]


def test_errors(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="expected a folder of save_to_disk"):
        open_dataset(f"hf:{tmp_path}")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        open_dataset(f"{tmp_path / 'x.parquet'}?cache={tmp_path / 'cache'}")
    datasets.Dataset.from_list([{"a": 1}]).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x.parquet:0: no column of audio: got a; expected path"):
        open_dataset(f"{tmp_path / 'x.parquet'}?cache={tmp_path / 'cache'}")
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be read as a saved data set"):
        open_dataset(f"hf:{tmp_path}?cache={tmp_path / 'cache'}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"askaudio\[hf\]"):
        open_dataset(f"hf:{tmp_path}?cache={tmp_path / 'cache'}")
