"""Towers of published architectures: they read the authors' files, and a clip's vector does not depend on its batch."""

import copy

import numpy as np
import pytest
import torch

from askaudio.core.errors import ModelError
from askaudio.models.by_name import audio_tower
from askaudio.models.ced import CedTower
from askaudio.models.cnn14 import Cnn14Tower
from askaudio.models.mobilenet import MobileNetTower
from tower_files import write_ced, write_cnn14, write_mobilenet

KINDS = {
    "mobilenet": (write_mobilenet, lambda path: MobileNetTower.from_file(path, classes=True)),
    "cnn14": (write_cnn14, Cnn14Tower.from_file),
    "ced": (write_ced, CedTower.from_file),
    "dasheng": (lambda path: write_ced(path, patch=(64, 4), places=100), CedTower.from_file),
}


@pytest.fixture(params=KINDS)
def tower(request, tmp_path):
    write, read = KINDS[request.param]
    written = write(tmp_path / "file")
    found = read(tmp_path / "file")
    assert found.settings() == written.settings()
    assert all(torch.equal(value, written.state_dict()[key]) for key, value in found.state_dict().items())
    return found


def sounds(tower, frames):
    n_mels = tower.front_end.log_mel.n_mels
    batch = torch.zeros(len(frames), n_mels, int(frames.max()))
    for row, n in enumerate(frames):
        batch[row, :, :n] = torch.randn(n_mels, n)
    return batch


def test_a_clip_has_the_same_frames_and_vector_in_a_padded_batch(tower):
    frames = torch.tensor([200, 160, 96, 64])
    batch = sounds(tower, frames)
    with torch.inference_mode():
        together, (states, mask) = tower(batch, frames), tower.frame_states(batch, frames)
        assert together.shape == (4, tower.dim) and states.shape[2] == tower.frame_dim
        for row, n in enumerate(frames):
            alone = batch[row : row + 1, :, :n]
            torch.testing.assert_close(together[row], tower(alone)[0], atol=1e-5, rtol=1e-4)
            own, none = tower.frame_states(alone)
            assert none is None and int(mask[row].sum()) == own.shape[1]
            torch.testing.assert_close(states[row, : own.shape[1]], own[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("stages", [1, 3, -1])
def test_lower_stages_and_the_rest_are_the_whole(tower, stages):
    stages = stages % len(tower.stages()) if stages < 0 else min(stages, len(tower.stages()) - 1)
    frames = torch.tensor([200, 128])
    batch = sounds(tower, frames)
    with torch.inference_mode():
        whole = tower(batch, frames)
        maps, left = tower.lower(batch, frames, stages=stages)
        tower.skip = stages
        torch.testing.assert_close(tower(maps, left), whole, atol=1e-5, rtol=1e-4)


def test_checkpointing_changes_neither_gradients_nor_statistics(tower):
    for module in tower.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    other = copy.deepcopy(tower)
    other.checkpointing = True
    batch = sounds(tower, torch.tensor([96, 96, 80]))
    for one in (tower, other):
        one.train()(batch, torch.tensor([96, 96, 80])).square().mean().backward()
    for mine, theirs in zip(tower.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine[1].grad, theirs.grad, msg=mine[0])
    assert all(torch.equal(a, b) for a, b in zip(tower.buffers(), other.buffers(), strict=True))


def test_stages_hold_every_trained_weight_once(tower):
    own = [id(p) for stage in tower.stages() for p in stage.parameters()]
    extra = {id(p) for name, p in tower.named_parameters() if name.startswith("classifier")}
    assert sorted(own) == sorted({id(p) for p in tower.parameters()} - extra)


@pytest.mark.parametrize("kind", [MobileNetTower, Cnn14Tower, CedTower])
def test_other_files_are_refused(kind, tmp_path):
    with pytest.raises(ModelError, match=r"no .* weights at .*model\.audio_weights"):
        kind.from_file(tmp_path / "none.pt")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"other\.pt"):
        kind.from_file(tmp_path / "other.pt")
    torch.save({"run": print}, tmp_path / "code.pt")
    with pytest.raises(ModelError, match="cannot be read without executing it"):
        kind.from_file(tmp_path / "code.pt")


def test_a_folder_of_the_hub_may_hold_ced(tmp_path):
    write_ced(tmp_path / "ced")
    (tmp_path / "ced" / "config.json").write_text('{"model_type": "ced"}')
    tower, front_end = audio_tower(f"hf:{tmp_path / 'ced'}", "", 10.0)
    assert isinstance(tower, CedTower) and front_end.log_mel.n_mels == 64
    with pytest.raises(ModelError, match="unknown audio tower 'vggish'"):
        audio_tower("vggish", "", 10.0)


@pytest.mark.shared
def test_mn04_equals_the_published_graph(shared):
    onnxruntime = pytest.importorskip("onnxruntime")
    from askaudio.encoders.efficientat import tower as graph

    folder = shared / "models/efficientat_mn04"
    tower = MobileNetTower.from_file(folder / "mn04_as_mAP_432.pt", classes=True)
    assert MobileNetTower.of_width(0.4).settings() | {"classes": [512, 527]} == tower.settings()
    session = onnxruntime.InferenceSession(graph(folder / "mn04_as.onnx").SerializeToString())
    rng = np.random.default_rng(0)
    for n in (1000, 333):
        spec = rng.standard_normal((1, 128, n)).astype(np.float32)
        embedding, logits = session.run(["embedding", "logits"], {"spec": spec[:, None]})
        with torch.inference_mode():
            found = tower(torch.from_numpy(spec)).numpy()
        np.testing.assert_allclose(found[:, :384], embedding.reshape(1, -1), atol=1e-4)
        np.testing.assert_allclose(found[:, 384:], logits, atol=1e-4)
