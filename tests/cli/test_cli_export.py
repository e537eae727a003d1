"""askaudio export: a checkpoint becomes a folder that search opens; faults end with exit code 2."""

import json

import pytest
import torch

from askaudio.cli import main
from askaudio.encoders.load import load
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.projection import Projection


@pytest.fixture
def checkpoint(shared, tmp_path):
    """Untrained projections over the frozen towers."""
    torch.manual_seed(0)
    tower = shared / "models/efficientat_mn04/mn04_as.onnx"
    DualEncoder(Projection(384, 32), Projection(384, 32), audio_source=f"efficientat:{tower}").save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.shared
def test_a_checkpoint_becomes_an_encoder(checkpoint, tmp_path, capsys):
    assert main(["export", str(checkpoint), str(tmp_path / "encoder"), "--precision", "fp16", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert max(report["audio_error"], report["text_error"]) <= 1e-4
    assert report["text_cosine"] > 0.9999
    assert report["megabytes"] < 55
    encoder = load(tmp_path / "encoder")
    assert (encoder.name, encoder.embed_dim) == ("encoder", 32)
    near, far = encoder.encode_text(["a dog barks", "dog barking"]), encoder.encode_text(["rain on a roof"])
    assert near[0] @ near[1] > near[0] @ far[0]


def test_what_is_no_checkpoint_is_refused(tmp_path, capsys):
    assert main(["export", str(tmp_path), str(tmp_path / "encoder")]) == 2
    assert "is no checkpoint" in capsys.readouterr().err


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["export", "--help"])
    assert caught.value.code == 0
    assert "askaudio export runs/sounds encoders/sounds" in capsys.readouterr().out
