"""askaudio evaluate and compare, as a user calls them: model, embeddings, run files, refusals."""

import json

import numpy as np
import pytest
import soundfile

from askaudio.cli import main
from askaudio.evaluation.run_files import read_embeddings, write_embeddings
from askaudio.scenes.library import synthesised_scenes
from askaudio.scenes.write import write_scenes

HZ = {"hum": 100, "horn": 400, "siren": 900, "alarm": 2000, "bird": 4000, "hiss": 7000}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Twelve test tones (two of each word) with two captions each, six training tones, one broken file."""
    folder = tmp_path_factory.mktemp("library")
    rng, time_s, rows = np.random.default_rng(0), np.arange(8000) / 16000, []
    for split, copies in (("train", 1), ("test", 2)):
        for word, hz in HZ.items():
            for n in range(copies):
                tone = 0.3 * np.sin(2 * np.pi * hz * time_s) + 0.01 * rng.normal(size=len(time_s))
                name = f"{split}-{word}-{n}"
                soundfile.write(folder / f"{name}.wav", tone.astype(np.float32), 16000)
                captions = [f"a {word} sounds twice", f"a loud {word}"]
                rows.append(
                    {"clip_id": name, "path": f"{name}.wav", "captions": captions, "split": split, "label": word}
                )
    (folder / "broken.wav").write_bytes(b"RIFF")
    rows.append({"clip_id": "broken", "path": "broken.wav", "captions": ["a click"], "split": "test", "label": "click"})
    (folder / "manifest.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    return folder / "manifest.jsonl"


def call(capsys, *arguments):
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def scored(library, tmp_path_factory):
    """A report folder of the toy encoder with everything that can be asked for."""
    out = tmp_path_factory.mktemp("results") / "toy"
    further = ["--near-misses", "--query-forms", "--buckets", "label", "--metrics", "R@1,R@5,mAP@10"]
    code = main(["evaluate", "--model", "toy", "--data", str(library), "--out", str(out), *further])
    assert code == 0
    return out


def test_a_model_is_scored_and_a_broken_clip_counted(capsys, library):
    code, out, err = call(capsys, "evaluate", "--model", "toy", "--data", library)
    assert code == 0
    assert "12 clips, 24 captions, missing clips: 1" in out
    assert "ties pessimistic; relevance by caption; R@k any-of-n" in out
    assert "windows fixed, 10 s every 10 s, mean" in out
    assert "left out: broken" in err
    for metric in ("R@1", "R@5", "R@10", "mAP@10", "MedR"):
        assert metric in out


def test_by_text_both_clips_of_a_word_are_right(capsys, library):
    code, out, _ = call(capsys, "evaluate", "toy", "--data", library, "--relevance", "text", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["counts"] == {"clips": 12, "captions": 12, "missing_clips": 1}
    assert found["metrics"]["t2a/R@1"]["value"] == 1.0
    assert found["metrics"]["t2a/mAP@10"]["value"] == 1.0
    assert list(found["broken"]) == ["broken"]


def test_by_label(capsys, library):
    _, out, _ = call(capsys, "evaluate", "toy", "--data", library, "--relevance", "label", "--json")
    assert json.loads(out)["counts"]["captions"] == 6


def test_everything_that_was_asked_for_is_written(scored):
    names = {p.name for p in scored.iterdir()}
    assert {"report.json", "ranks.npz", "t2a.jsonl", "near_misses.json", "query_forms.json", "buckets.json"} <= names
    assert {"recall.png", "ranks.png", "buckets.png", "worst.png"} <= names
    assert json.loads((scored / "report.json").read_text())["metrics"]["t2a/R@5"]["value"] == 1.0
    kinds = json.loads((scored / "near_misses.json").read_text())["kinds"]
    assert {"attribute", "count", "negation", "label"} == set(kinds)


def test_near_misses_of_generated_scenes_are_minimal_pairs(capsys, tmp_path):
    scenes = synthesised_scenes({"test": 12}, seed=1, duration_s=4.0, sample_rate_hz=16000)
    write_scenes(scenes, tmp_path)
    _, out, _ = call(capsys, "evaluate", "toy", "--data", tmp_path / "manifest.jsonl", "--near-misses", "--json")
    kinds = json.loads(out)["near_misses"]["kinds"]
    assert {"order", "label", "negation"} <= set(kinds)
    assert all(0 <= kind["accuracy"] <= 1 for kind in kinds.values() if "accuracy" in kind)


def test_exact_near_misses_of_the_manifest_are_used(capsys, library, tmp_path):
    rows = [json.loads(line) for line in library.read_text().splitlines() if "test-" in line]
    for row in rows:
        row["path"] = str(library.parent / row["path"])
        row["near_misses"] = [[["order", "a hiss"]], []]
    data = tmp_path / "scenes.jsonl"
    data.write_text("\n".join(json.dumps(r) for r in rows))
    _, out, _ = call(capsys, "evaluate", "toy", "--data", data, "--near-misses", "--json")
    assert json.loads(out)["near_misses"]["kinds"]["order"]["n"] == 12
    rows[0]["near_misses"] = ["a hiss"]
    data.write_text("\n".join(json.dumps(r) for r in rows))
    code, _, err = call(capsys, "evaluate", "toy", "--data", data, "--near-misses")
    assert code == 2
    assert "near_misses must hold for each caption a list" in err


def test_the_written_run_scores_the_same(capsys, library, scored):
    _, out, _ = call(capsys, "evaluate", "--run", scored / "t2a.jsonl", "--data", library, "--json")
    got = json.loads(out)["metrics"]
    model = json.loads((scored / "report.json").read_text())["metrics"]
    # the run file is of the twelve clips that could be read; the broken one makes one query more that only misses
    assert got["t2a/R@5"]["value"] == pytest.approx(model["t2a/R@5"]["value"] * 24 / 25)


def test_a_trec_run_out_and_in(capsys, library, scored, tmp_path):
    again = ("--data", library, "--json")
    options = ("--out", tmp_path, "--run-format", "trec", "--no-figures")
    assert call(capsys, "evaluate", "--run", scored / "t2a.jsonl", *again, *options)[0] == 0
    first = (tmp_path / "t2a.trec").read_text().splitlines()[0].split()
    assert len(first) == 6 and (first[1], first[3]) == ("Q0", "1")
    want = json.loads((tmp_path / "report.json").read_text())["metrics"]
    got = json.loads(call(capsys, "evaluate", "--run", tmp_path / "t2a.trec", *again)[1])["metrics"]
    assert got == want


def test_a_run_of_texts_for_clips(capsys, tmp_path):
    (tmp_path / "q.csv").write_text("query_id,clip_id,grade\na b#0,a b,1\na b#1,a b,1\n")
    (tmp_path / "r.csv").write_text("query_id,clip_id,score\na b,a b#1,0.9\na b,a b#0,0.1\n")
    arguments = ("--run", tmp_path / "r.csv", "--qrels", tmp_path / "q.csv", "--direction", "a2t", "--json")
    code, out, err = call(capsys, "evaluate", *arguments)
    assert code == 0, err
    assert json.loads(out)["metrics"]["a2t/mAP@10"]["value"] == 1.0


def test_a_run_with_judgements_only(capsys, tmp_path):
    (tmp_path / "q.qrels").write_text("q0 0 a 100\nq0 0 b 20\nq1 0 c 60\n")
    (tmp_path / "r.trec").write_text("q0 Q0 b 1 0.9 x\nq0 Q0 z 2 0.5 x\nq1 Q0 c 1 0.9 x\n")
    code, out, _ = call(
        capsys, "evaluate", "--run", tmp_path / "r.trec", "--qrels", tmp_path / "q.qrels", "--metrics", "nDCG@10,R@1"
    )
    assert code == 0
    assert "4 clips, 2 captions" in out
    assert "relevance by graded" in out
    code, out, _ = call(
        capsys,
        *("evaluate", "--run", tmp_path / "r.trec", "--qrels", tmp_path / "q.qrels", "--min-grade", "50", "--json"),
    )
    assert json.loads(out)["metrics"]["t2a/R@10"]["value"] == 0.5  # the clip of grade 100 was not retrieved


def test_embeddings_are_scored(capsys, library, tmp_path, rng):
    clips = [json.loads(line) for line in library.read_text().splitlines() if "test-" in line]
    audio = rng.normal(size=(len(clips), 16))
    write_embeddings(tmp_path / "a.npz", [c["clip_id"] for c in clips], audio)
    ids = [f"{c['clip_id']}#{k}" for c in clips for k in range(2)]
    write_embeddings(tmp_path / "t.npz", ids, np.repeat(audio, 2, axis=0))
    sources = ("--audio-embeddings", tmp_path / "a.npz", "--text-embeddings", tmp_path / "t.npz")
    code, out, err = call(capsys, "evaluate", *sources, "--data", library, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["metrics"]["t2a/R@1"]["value"] == 1.0
    assert found["counts"] == {"clips": 12, "captions": 24, "missing_clips": 1}
    fraction = json.loads(call(capsys, "evaluate", *sources, "--data", library, "--a2t", "fraction", "--json")[1])
    assert fraction["metrics"]["a2t/R@1-fraction"]["value"] == 0.5
    assert fraction["protocol"]["R@k"] == "fraction"

    write_embeddings(tmp_path / "t.npz", ids[:-1], np.ones((len(ids) - 1, 16)))
    code, _, err = call(capsys, "evaluate", *sources, "--data", library)
    assert code == 2
    assert "1 ids of the data are not in it" in err
    assert read_embeddings(tmp_path / "a.npz")[0][0] == clips[0]["clip_id"]


def test_systems_are_compared(capsys, library, scored, tmp_path):
    assert (
        main(["evaluate", "toy:dim=4", "--data", str(library), "--out", str(tmp_path / "small"), "--no-figures"]) == 0
    )
    capsys.readouterr()
    figure = tmp_path / "c.svg"
    code, out, _ = call(capsys, "compare", scored, tmp_path / "small", "--metric", "t2a/mAP@10", "--figure", figure)
    assert code == 0
    assert "small - toy" in out
    assert "paired bootstrap over 12 clips (or recordings), 10,000 resamples" in out
    assert figure.is_file()
    seeds = (f"toy={scored},{scored}", f"small={tmp_path / 'small'},{tmp_path / 'small'}")
    found = json.loads(call(capsys, "compare", *seeds, "--format", "json", "--resamples", "200")[1])
    assert found["over"] == "both"
    assert [s["n_seeds"] for s in found["systems"]] == [2, 2]


def test_run_files_are_compared(capsys, tmp_path):
    (tmp_path / "q.qrels").write_text("".join(f"q{i} 0 c{i} 1\n" for i in range(30)))
    good = "".join(f"q{i} Q0 c{i} 1 0.9 x\n" for i in range(30))
    bad = "".join(f"q{i} Q0 c{i if i < 5 else 0} 1 0.9 x\n" for i in range(30))
    for name, text in (("good", good), ("bad", bad)):
        (tmp_path / f"{name}.trec").write_text(text)
    files = (tmp_path / "bad.trec", tmp_path / "good.trec")
    code, out, err = call(capsys, "compare", *files, "--qrels", tmp_path / "q.qrels", "--format", "markdown")
    assert code == 0, err
    assert "good - bad" in out and "better" in out
    code, _, err = call(capsys, "compare", *files)
    assert code == 2
    assert "say what is right with --data SPEC or --qrels FILE" in err


def test_different_pools_need_force(capsys, library, scored, tmp_path):
    out = ("--out", str(tmp_path / "all"), "--no-figures")
    assert main(["evaluate", "toy", "--data", str(library), "--split", "all", *out]) == 0
    assert not (tmp_path / "all" / "recall.png").exists()
    capsys.readouterr()
    code, _, err = call(capsys, "compare", scored, tmp_path / "all")
    assert code == 2
    assert "different pools" in err and "--force-pools" in err
    code, out, _ = call(capsys, "compare", scored, tmp_path / "all", "--force-pools", "--resamples", "100")
    assert code == 0
    assert "only 24 common queries are compared" in out


REFUSED = {
    "nothing to score": ((), "Give exactly one of"),
    "two sources": (("toy", "--run", "r.trec"), "Give exactly one of"),
    "no data": (("toy",), "which data?"),
    "one table of two": (("--audio-embeddings", "a.npz", "--data", "DATA"), "belong together"),
    "an unknown metric": (("toy", "--data", "DATA", "--metrics", "accuracy"), "unknown metric"),
    "an empty split": (("toy", "--data", "DATA", "--split", "val"), "no clip in split val"),
    "no model": (("nosuchmodel", "--data", "DATA"), "nosuchmodel"),
    "no run file": (("--run", "nosuch.trec", "--data", "DATA"), "nosuch.trec does not exist"),
    "near misses of a run": (("--run", "RUN", "--data", "DATA", "--near-misses"), "needs a model"),
    "depth": (("toy", "--data", "DATA", "--depth", "0"), "at least 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_calls_are_refused_with_exit_code_2(capsys, library, scored, name):
    arguments, message = REFUSED[name]
    places = {"DATA": library, "RUN": scored / "t2a.jsonl"}
    code, out, err = call(capsys, "evaluate", *(places.get(a, a) for a in arguments))
    assert (code, out) == (2, "")
    assert message in err


def test_a_manifest_without_splits_says_what_to_do(capsys, library, tmp_path):
    rows = [json.loads(line) for line in library.read_text().splitlines()]
    for row in rows:
        del row["split"]
        row["path"] = str(library.parent / row["path"])
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    code, _, err = call(capsys, "evaluate", "toy", "--data", tmp_path / "m.jsonl")
    assert code == 2
    assert "--split all" in err and "--split-seed 0" in err
    code, out, _ = call(capsys, "evaluate", "toy", "--data", tmp_path / "m.jsonl", "--split-seed", "0", "--json")
    assert code == 0
    assert json.loads(out)["protocol"]["data"] == "m:test"


@pytest.mark.parametrize("arguments", [("a",), ("a", "b", "--metric", "R@1"), ("a", "a"), ("a", "b")])
def test_wrong_comparisons_are_refused(capsys, scored, arguments):
    places = {"a": scored, "b": "nosuchfolder"}
    assert call(capsys, "compare", *(places.get(a, a) for a in arguments))[0] == 2


def test_workers_give_the_same_numbers(capsys, library):
    one = json.loads(call(capsys, "evaluate", "toy", "--data", library, "--workers", "1", "--json")[1])
    two = json.loads(call(capsys, "evaluate", "toy", "--data", library, "--workers", "2", "--json")[1])
    assert one == two
