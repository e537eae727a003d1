"""askaudio evaluate --mteb: a task made of files here, scored offline by mteb itself, equal to our own evaluation."""

import json

import numpy as np
import pytest
import soundfile

from askaudio.cli import main
from askaudio.cli.evaluate.mteb import table
from layouts import SOUNDS, tone

pytest.importorskip("mteb")
pytest.importorskip("datasets")


@pytest.fixture
def library(tmp_path):
    """Six tones; two of them carry each other's captions, and no two clips' captions have one vector (no ties)."""
    tones = list(SOUNDS.values())
    said = [*tones[:2], tones[3], tones[2], *tones[4:]]
    lines = []
    for number, (hertz, named) in enumerate(zip(tones, said, strict=True)):
        soundfile.write(tmp_path / f"{number}.wav", tone(hertz, number), 16000)
        captions = [f"{named:.0f} hz", f"{1.01 * named:.0f} hz"]
        lines.append(json.dumps({"clip_id": f"s{number}", "path": f"{number}.wav", "captions": captions}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    return str(tmp_path / "manifest.jsonl")


def test_a_local_task_equals_our_own_evaluation(library, tmp_path, capsys):
    options = ["--data", library, "--split", "all", "--json"]
    assert main(["evaluate", "toy", "--mteb", "t2a,a2t", *options, "--out", str(tmp_path / "out")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["task"] for row in report["tasks"]] == ["AskaudioT2A", "AskaudioA2T"]
    assert main(["evaluate", "toy", *options]) == 0
    own = json.loads(capsys.readouterr().out)["metrics"]
    for row, direction in zip(report["tasks"], ("t2a", "a2t"), strict=True):
        assert row["scores"]["hit_rate_at_1"] == pytest.approx(4 / 6, abs=1e-5)
        for k in (1, 5):
            assert row["scores"][f"hit_rate_at_{k}"] == pytest.approx(own[f"{direction}/R@{k}"]["value"], abs=1e-5)
    assert json.loads((tmp_path / "out" / "mteb.json").read_text()) == report["tasks"]
    lines = table(report["tasks"]).splitlines()
    assert lines[0].split()[:2] == ["task", "hit_rate@1"]
    assert float(lines[1].split()[1]) == pytest.approx(100 * own["t2a/R@1"]["value"], abs=0.01)


def test_task_names(library, capsys):
    assert main(["evaluate", "toy", "--mteb", "NoSuchTask", "--data", library]) == 2
    assert "AudioCapsT2ARetrieval" in capsys.readouterr().err
    assert main(["evaluate", "--mteb", "t2a"]) == 2
    assert "scores a model" in capsys.readouterr().err
    import mteb

    for name in ("AudioCapsT2ARetrieval", "AudioCapsA2TRetrieval", "ClothoT2ARetrieval.v2", "ClothoA2TRetrieval.v2"):
        assert mteb.get_task(name).metadata.name == name


def test_sounds_as_data_sets_hold_them(tmp_path):
    from askaudio.audio.decode import decode
    from askaudio.core.errors import DataError
    from askaudio.interop.mteb_encoder import sound_source

    wave = tone(440.0, 0)
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    stored = {"bytes": (tmp_path / "a.wav").read_bytes(), "path": "a.wav"}
    array = {"array": np.stack([wave, wave]), "sampling_rate": 16000}
    for sound in (str(tmp_path / "a.wav"), stored, {"bytes": None, "path": str(tmp_path / "a.wav")}, array):
        np.testing.assert_allclose(decode(sound_source(sound), 16000), wave, atol=1e-7)
    assert len(decode(sound_source(array), 8000)) == 8000
    with pytest.raises(DataError, match="got int"):
        sound_source(3)
