"""`askaudio diagnose`: fidelity by batch size, age of a base, verdict, figure; the trial itself is seeded."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from askaudio.cli import main
from askaudio.cli.diagnose import verdict
from askaudio.core.errors import AskAudioError
from askaudio.knowledge.locality import fidelity
from askaudio.losses.ntxent import ntxent
from askaudio.training.diagnose import AtAge, AtBatchSize, Diagnosis, _Trial, diagnose

RATE_HZ = 32_000


def features(n, seed=0, d=24):
    g = torch.Generator().manual_seed(seed)
    hidden = torch.randn(30, 8, generator=g)[torch.randint(30, (n,), generator=g)] + 0.3 * torch.randn(
        n, 8, generator=g
    )
    return tuple(torch.tanh(hidden @ torch.randn(8, d, generator=g)) for _ in range(2))


def test_fidelity_grows_with_the_batch_and_is_1_with_all_pairs():
    audio, text = features(160)
    found = diagnose(audio, text, 160, epochs=2)
    assert found == diagnose(audio, text, 160, epochs=2)  # same seed, same numbers
    by_size = [found.plain(size) for size in (8, 24, 128, 160)]
    assert by_size == sorted(by_size) and by_size[-1] == pytest.approx(1.0, abs=1e-5)
    assert found.level == "none" and "nothing to gain" in verdict(found, 160)[0]
    reach = {b.batch_size: b.reach for b in found.batches}
    assert reach[8] == pytest.approx(8 / 160) and reach[160] == 1.0
    assert found.losses[-1] < found.losses[0]


def test_small_batch_has_a_bottleneck_and_old_bases_fall_behind():
    audio, text = features(300)
    found = diagnose(audio, text, 8, epochs=3)
    assert found.level == "strong" and "A bottleneck at batch size 8" in verdict(found, 900)[0]
    assert any("300 of 900 clips" in line for line in verdict(found, 900))
    ages = {age: [a for a in found.ages if a.age_epochs == age] for age in (0.5, 1.0, 2.0)}
    assert [len(rows) for rows in ages.values()] == [3, 3, 2]  # no base is two epochs old after the first
    last = [rows[-1] for rows in ages.values()]
    assert 0 < last[0].drift < last[1].drift < last[2].drift
    assert last[0].fidelity > last[2].fidelity


def test_numbers_of_the_trial_are_those_of_the_locality_meter():
    audio, text = features(100)
    trial = _Trial(audio, text, 32, 0.07, 16, 1e-3, 0)
    trial.train_epoch()
    a, t = trial.tables()
    torch.testing.assert_close(a.norm(dim=1), torch.ones(100))
    rows = trial._batches(24)
    want = [fidelity(lambda x, y: ntxent(x, y, 0.07), a[r], t[r], r, a, t, 0.07) for r in rows]
    assert trial.at_sizes(1, [24])[0].fidelity == pytest.approx(sum(want) / len(want), rel=1e-6)
    fresh = [trial._fidelity_of_base(r, a, t) for r in rows]
    assert fresh == pytest.approx([1.0] * len(rows), abs=1e-5)


def test_refresh_period_is_the_longest_that_still_agrees():
    def found(*fidelities):
        ages = tuple(AtAge(3, age, f, 0.1) for age, f in zip((0.5, 1.0, 2.0), fidelities, strict=True))
        return Diagnosis(100, 8, 3, (AtBatchSize(1, 8, 0.08, 3.0, 0.85),), ages, (1.0,))

    assert found(0.999, 0.99, 0.9).refresh_epochs == 1.0 and found(0.9, 0.8, 0.7).refresh_epochs is None
    assert "A base an epoch old still agrees" in verdict(found(0.999, 0.99, 0.9), 100)[2]
    assert "refresh_steps=6)" in verdict(found(0.99, 0.9, 0.9), 100)[2]
    first = replace(found(0.999, 0.99, 0.9), ages=(AtAge(1, 0.5, 0.9, 0.4), *found(0.999, 1.0, 0.9).ages * 5))
    assert "knowledge.refresh_early=16" in verdict(first, 100)[2]
    assert "half an epoch old differs" in verdict(found(0.9, 0.8, 0.7), 100)[2]
    assert found(1, 1, 1).level == "slight"
    for audio, text, size in ((torch.ones(9, 2), torch.ones(9, 2), 4), (torch.ones(80, 2), torch.ones(80, 2), 1)):
        with pytest.raises(AskAudioError, match="needs"):
            diagnose(audio, text, size)


def test_command_on_files(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = ["path,caption"]
    for i in range(80):
        hz = int(rng.integers(150, 9000))
        time_s = np.arange(RATE_HZ // 10) / RATE_HZ
        soundfile.write(tmp_path / f"{i}.wav", 0.3 * np.sin(2 * np.pi * hz * time_s), RATE_HZ)
        lines.append(f"{i}.wav,a tone of {hz} hz")
    (tmp_path / "captions.csv").write_text("\n".join(lines) + "\n")
    data, cache = str(tmp_path / "captions.csv"), ["--cache", str(tmp_path / "cache")]
    figure, report = tmp_path / "locality.png", tmp_path / "report.json"
    options = [*cache, "--model", "toy", "--batch-size", "16", "--epochs", "2"]
    outputs = ["--figure", str(figure), "--out", str(report)]
    assert main(["diagnose", data, *options, *outputs, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == json.loads(report.read_text())
    assert {b["batch_size"] for b in facts["batches"]} == {8, 16, 24} and facts["pairs"] == facts["clips"] == 80
    assert facts["bottleneck"] in ("none", "slight", "strong") and 0 < facts["fidelity"] <= 1
    assert figure.read_bytes().startswith(b"\x89PNG")
    options[-1] = "1"
    assert main(["diagnose", data, *options, "--pairs", "70"]) == 0
    out = capsys.readouterr().out
    assert "<- yours" in out and "70 of 80 clips" in out
    assert main(["diagnose", data, *options, "--pairs", "20"]) == 2
    assert "at least 64 pairs" in capsys.readouterr().err
    assert main(["diagnose", data, *options, "--figure", "x.gif"]) == 2
    assert main(["diagnose", data, *cache]) == 2 and "--tower" in capsys.readouterr().err
