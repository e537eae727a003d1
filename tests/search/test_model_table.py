"""Two models on the same sounds: ranks, precision, labels, broken files, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from askaudio.cli import main
from askaudio.core.errors import DataError
from askaudio.data.manifest import Caption, Clip
from askaudio.encoders.toy import ToyEncoder
from askaudio.search.model_table import answer_all, difference, table
from tones import TONES_HZ, write_tone


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Five tones, two of which share a caption; the toy encoder knows the word of a pitch by chance only."""
    found = []
    for n, hz in enumerate(TONES_HZ[:5]):
        write_tone(tmp_path / f"{hz}.wav", hz)
        text = "a deep rumble" if n < 2 else f"tone {hz}"
        label = "low" if n < 2 else "high"
        found.append(Clip(f"c{n}", str(tmp_path / f"{hz}.wav"), (Caption(f"c{n}#0", text),), label=label))
    return found


def test_ranks_and_precision_are_those_of_the_cosines(clips: list[Clip]) -> None:
    encoder = ToyEncoder(8)
    row = answer_all(encoder, clips)
    assert row.queries == sorted({"a deep rumble", "low", "high", *(f"tone {hz}" for hz in TONES_HZ[2:5])})
    scores = encoder.encode_text(row.queries) @ np.stack([encoder.encode_files([c.path])[0] for c in clips]).T
    own = [{c.captions[0].text, c.label} for c in clips]
    for q, query in enumerate(row.queries):
        ranked = [query in own[n] for n in np.argsort(-scores[q], kind="stable")]
        assert row.found[q] == ranked.index(True) + 1
        assert row.right[q].tolist() == ranked[:5]
    figures = row.figures()
    assert figures["R@10"] == 1.0 and figures["queries"] == 6 and figures["broken"] == 0
    names = encoder.encode_text(["high", "low"]) @ np.stack([encoder.encode_files([c.path])[0] for c in clips]).T
    nearest = [("high", "low")[k] for k in names.argmax(0)]
    assert figures["labels"] == np.mean([name == c.label for name, c in zip(nearest, clips, strict=True)])


def test_broken_sounds_are_left_out_and_none_at_all_is_an_error(clips: list[Clip]) -> None:
    Path(clips[0].path).write_bytes(b"no sound")
    row = answer_all(ToyEncoder(8), clips)
    assert list(row.broken) == [clips[0].path] and row.figures()["broken"] == 1
    with pytest.raises(DataError, match="none of 1 sounds"):
        answer_all(ToyEncoder(8), clips[:1])
    with pytest.raises(DataError, match="neither captions nor labels"):
        answer_all(ToyEncoder(8), [Clip("x", clips[1].path)])


def test_a_model_gains_nothing_over_itself(clips: list[Clip]) -> None:
    row = answer_all(ToyEncoder(8), clips)
    assert difference(row, row) == (0.0, 0.0, 0.0)
    assert "R@10 of b less that of toy: +0.100 [+0.000, +0.200]" in table([row], {"b": (0.1, 0.0, 0.2)})


def test_the_command_prints_a_row_for_each_model(
    clips: list[Clip], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    lines = [{"id": c.clip_id, "path": c.path, "text": c.captions[0].text, "label": c.label} for c in clips]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ["models", "compare", "toy:dim=8", "toy:dim=16", "--data", str(manifest)]
    assert main([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["sounds"] == 5 and [row["queries"] for row in answer["models"]] == [6, 6]
    assert main(command) == 0
    assert "precision@5" in capsys.readouterr().out
    assert main(["models", "compare", "small"]) == 2
