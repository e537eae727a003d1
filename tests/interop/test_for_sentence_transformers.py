"""sentence-transformers, both ways: ASK as a loss of its trainer, and our model in a form that it loads."""

import json

import numpy as np
import pytest
import soundfile
import torch

from askaudio.ask.objective import ASK
from askaudio.audio.decode import decode
from askaudio.audio.windows import fixed_windows
from askaudio.cli import main
from askaudio.core.errors import ConfigError, ModelError
from askaudio.interop.sentence_transformers_loss import ASKLoss
from askaudio.interop.sentence_transformers_module import sentence_transformer
from own_loss import own_loss

st = pytest.importorskip("sentence_transformers")
pytest.importorskip("accelerate")
import sentence_transformers_trainer as example  # noqa: E402 - of examples/, which own_loss puts on the path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("tones")


@pytest.fixture(scope="module")
def pairs(place):
    return example.make_pairs(place, n=6)


@pytest.fixture(scope="module")
def model():
    return example.make_model().eval()


def test_the_trainers_loss_is_our_own_and_its_events_keep_time(pairs, tmp_path):
    model = example.make_model()
    trainer = example.make_trainer(model, pairs, tmp_path, num_train_epochs=2)
    ask = trainer.loss.ask
    batch = dict(next(iter(trainer.get_train_dataloader())))
    model.eval()
    audio = batch["audio_input_features"], batch["audio_frames"]
    text = batch["caption_input_ids"], batch["caption_attention_mask"]
    want = own_loss(model[0].model, ask, audio, text, batch["label"])
    with torch.no_grad():
        torch.testing.assert_close(trainer.compute_loss(model, batch), want, rtol=0, atol=1e-6)
    ask.loss.log_scale.requires_grad_(True)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer.train()
    state = ask.state
    assert (state.step, state.epoch) == (4, 2)  # 12 pairs in batches of 8, twice
    assert (state.refreshed_step, state.refreshed_epoch, state.version) == (4, 2, 2)  # the base was encoded twice
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, weights[name])}
    assert any("audio_tower" in name for name in moved) and not any("text_tower" in name for name in moved)
    assert ask.temperature.item() != pytest.approx(0.1, abs=1e-7)  # the trainer found the loss's own parameter


def test_columns_are_told_apart_or_refused(model):
    loss = ASKLoss(model, ASK(None))
    text, tone = model.preprocess(["a", "b"]), model.preprocess([np.ones(8000, np.float32)] * 2)
    labels = torch.arange(2)
    with torch.no_grad():
        torch.testing.assert_close(loss([tone, text], labels), loss([text, tone], labels))
    with pytest.raises(ConfigError, match="one column of texts and one of sounds"):
        loss([text, text], labels)
    with pytest.raises(ConfigError, match="label"):
        loss([text, tone], None)


def test_saved_and_loaded_it_gives_the_vectors_of_indexing(model, place, tmp_path):
    rate = example.RATE_HZ
    long = (0.3 * np.sin(np.arange(int(2.6 * rate)) * np.linspace(0.05, 0.4, int(2.6 * rate)))).astype(np.float32)
    soundfile.write(tmp_path / "long.opus", np.repeat(long, 3), 3 * rate, format="OGG", subtype="OPUS")
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    again = st.SentenceTransformer(str(tmp_path / "saved"), trust_remote_code=True)
    assert sorted(again.modalities) == ["audio", "text"] and again.get_embedding_dimension() == 64
    texts, sounds = ["a dog barks", ""], [str(place / "0.wav"), str(place / "3.wav")]
    for inputs in (texts, sounds):
        np.testing.assert_array_equal(again.encode(inputs), model.encode(inputs))
    mixed = [{"audio": str(tmp_path / "long.opus")}, {"array": np.repeat(long, 2), "sampling_rate": 2 * rate}, long]
    vectors = np.stack([again.encode([sound])[0] for sound in mixed])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert (vectors @ vectors.T).min() > 0.95  # one sound, three ways (opus is lossy)
    dual, samples = model[0].model.eval(), decode(tmp_path / "long.opus", rate)
    windows = [w.samples for w in fixed_windows(samples, rate, 1.0, 1.0)]
    assert len(windows) == 3
    with torch.no_grad():
        rows = [dual.encode_audio((torch.from_numpy(dual.front_end(w))[None],)) for w in windows]
    mean = torch.nn.functional.normalize(torch.cat(rows).mean(0), dim=0).numpy()
    np.testing.assert_allclose(vectors[0], mean, atol=1e-5)


def test_a_folder_saved_under_the_old_module_name_loads(model, tmp_path):
    model.save_pretrained(str(tmp_path), create_model_card=False)
    modules = json.loads((tmp_path / "modules.json").read_text())
    assert [module["type"] for module in modules] == ["askaudio.interop.sentence_transformers_module.DualEncoderModule"]
    modules[0]["type"] = "askaudio.models.st_module.DualEncoderModule"
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    again = st.SentenceTransformer(str(tmp_path), trust_remote_code=True)
    np.testing.assert_array_equal(again.encode(["rain"]), model.encode(["rain"]))


def test_a_frozen_text_tower_has_no_dropout_in_training():
    model = example.make_model().train()
    dual = model[0].model
    assert dual.training and dual.audio_tower.training and not dual.text_tower.training
    dual.text_tower.requires_grad_(True)
    assert model.train()[0].model.text_tower.training


def test_texts_and_sounds_in_one_batch_are_refused(model):
    with pytest.raises(ModelError, match="not both"):
        model[0].preprocess(["rain", np.ones(100, np.float32)])


def test_export_command(model, tmp_path, capsys):
    model[0].model.save(tmp_path / "run")
    out = tmp_path / "st"
    assert main(["export", str(tmp_path / "run"), str(out), "--format", "sentence-transformers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folder"] == str(out)
    assert "trust_remote_code=True" in (out / "README.md").read_text()
    loaded = st.SentenceTransformer(str(out), trust_remote_code=True)
    np.testing.assert_array_equal(loaded.encode(["rain"]), model.encode(["rain"]))
    assert main(["export", str(tmp_path / "run"), str(out), "--format", "sentence-transformers"]) == 2
    assert "not empty" in capsys.readouterr().err


def test_a_frozen_audio_tower_travels_with_the_model(shared, tmp_path):
    from askaudio.models.dual_encoder import DualEncoder
    from askaudio.models.projection import Projection

    source = f"efficientat:{shared / 'models' / 'efficientat_mn04' / 'mn04_as.onnx'}"
    torch.manual_seed(0)
    dual = DualEncoder(Projection(384, 16), Projection(384, 16), audio_source=source)
    sound = [np.sin(np.arange(32000) * 0.1).astype(np.float32)]
    sentence_transformer(dual.eval()).save_pretrained(str(tmp_path), create_model_card=False)
    again = st.SentenceTransformer(str(tmp_path), trust_remote_code=True)
    assert str(tmp_path) in again[0].model.audio_source
    np.testing.assert_array_equal(again.encode(sound), sentence_transformer(dual).encode(sound))
