"""ASK in the Hugging Face Trainer, and a real ClapModel (tiny, random weights) fine-tuned from files to files."""

import json

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from askaudio.ask.objective import ASK
from askaudio.core.errors import ConfigError, ModelError
from askaudio.data.readers.open import open_dataset
from askaudio.interop.clap import ClapPairs, row_encoder
from askaudio.interop.transformers import STATE_FILE, ASKLoss, load_state
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.models.hf_front_end import clap_front_end
from askaudio.models.minilm import package_folder
from own_loss import own_loss

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")


@pytest.fixture(scope="module")
def tiny_clap(tmp_path_factory):
    """A folder as transformers saves a ClapModel: same architecture, a few thousand weights and a real vocabulary."""
    torch.manual_seed(0)
    config = transformers.ClapConfig(
        text_config={
            "vocab_size": 30522, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 90, "projection_dim": 16, "pad_token_id": 0,
        },
        audio_config={
            "patch_embeds_hidden_size": 8, "depths": [1, 1], "num_attention_heads": [2, 2], "hidden_size": 16,
            "projection_dim": 16, "num_mel_bins": 64, "spec_size": 256, "patch_size": 16, "patch_stride": [16, 16],
            "window_size": 4, "fusion_type": None, "enable_fusion": False, "aff_block_r": 1,
        },
        projection_dim=16,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("clap")
    transformers.ClapModel(config).save_pretrained(folder)
    transformers.ClapFeatureExtractor(
        frequency_min=50, frequency_max=14000, truncation="rand_trunc", padding="repeatpad"
    ).save_pretrained(folder)
    transformers.BertTokenizerFast.from_pretrained(package_folder(), local_files_only=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Four tones: two of 1 s with two captions each, one of 12 s (two windows) and one of 3 s with one caption."""
    folder = tmp_path_factory.mktemp("library")
    lines = []
    for number, (duration_s, n_captions) in enumerate([(1, 2), (1, 2), (12, 1), (3, 1)]):
        wave = 0.3 * np.sin(2 * np.pi * 200 * (number + 1) * np.arange(16000 * duration_s) / 16000)
        soundfile.write(folder / f"{number}.wav", wave.astype(np.float32), 16000)
        captions = [f"tone {number} said {k}" for k in range(n_captions)]
        lines.append(json.dumps({"clip_id": f"t{number}", "path": f"{number}.wav", "captions": captions}))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder / "manifest.jsonl"


@pytest.fixture
def parts(tiny_clap, library):
    clips = open_dataset(str(library))
    extractor = transformers.ClapFeatureExtractor.from_pretrained(tiny_clap)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_clap)
    return transformers.ClapModel.from_pretrained(tiny_clap), ClapPairs(clips.clips, extractor, tokenizer)


def test_every_window_and_every_caption_takes_its_turn(parts):
    _, pairs = parts
    assert pairs.ids == [0, 0, 1, 1, 2, 2, 3]
    assert [pairs[i]["caption"] for i in (0, 1, 4, 5)] == ["tone 0 said 0", "tone 0 said 1"] + ["tone 2 said 0"] * 2
    assert torch.equal(pairs[0]["input_features"], pairs[1]["input_features"])
    assert not torch.equal(pairs[4]["input_features"], pairs[5]["input_features"])  # two windows of one recording
    assert pairs[4]["input_features"].shape == (1, 1001, 64)
    again = pairs[5]["input_features"]
    assert torch.equal(pairs[5]["input_features"], again)  # and not a random piece of it


def test_our_front_end_and_its_extractor_give_one_embedding(parts, library):
    model, _ = parts
    samples, _ = soundfile.read(library.parent / "3.wav", dtype="float32")
    extractor = transformers.ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation="rand_trunc")
    at_48k = np.repeat(samples, 3)[: 48000 * 3]
    theirs = torch.from_numpy(extractor(at_48k, sampling_rate=48000, return_tensors="np")["input_features"])
    ours = torch.from_numpy(clap_front_end(extractor)(at_48k)).T[None, None]
    with torch.no_grad():
        a, b = (model.eval().get_audio_features(input_features=x).pooler_output for x in (theirs, ours.contiguous()))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


def test_a_fusing_extractor_is_refused():
    with pytest.raises(ModelError, match="unfused"):
        clap_front_end(transformers.ClapFeatureExtractor(truncation="fusion"))


class ClapOf(nn.Module):
    """A ClapModel as our trainer calls a model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, audio, text):
        out = self.model(input_features=audio, input_ids=text[0], attention_mask=text[1])
        return out.audio_embeds, out.text_embeds


def test_the_trainers_loss_is_our_own_and_its_events_keep_time(parts, tmp_path):
    import huggingface_clap

    model, pairs = parts
    trainer = huggingface_clap.make_trainer(model, pairs, str(tmp_path), epochs=2, batch=4, lr=1e-3)
    ask = trainer.compute_loss_func.ask
    batch = next(iter(trainer.get_train_dataloader()))
    model.eval()  # no dropout, and the batch statistics stay
    want = own_loss(
        ClapOf(model), ask, batch["input_features"], (batch["input_ids"], batch["attention_mask"]), batch["labels"]
    )
    with torch.no_grad():
        torch.testing.assert_close(trainer.compute_loss(model, dict(batch)), want, rtol=0, atol=1e-6)
    before, warm = model.text_projection.linear1.weight.detach().clone(), ask.temperature.item()
    trainer.train()
    state = ask.state
    assert (state.step, state.epoch) == (4, 2)  # 7 pairs in batches of 4, twice
    assert (state.refreshed_step, state.refreshed_epoch, state.version) == (4, 2, 2)  # the base was encoded twice
    assert not torch.equal(model.text_projection.linear1.weight, before)
    assert ask.temperature.item() != warm  # the learned temperature is in the optimizer
    fresh = ASK(KnowledgeBase.encoded(pairs.ids, row_encoder(model, pairs)), encode=row_encoder(model, pairs))
    load_state(fresh, tmp_path / "checkpoint-4")
    assert fresh.state.step == ask.state.step and torch.equal(fresh.base.text, ask.base.text)
    assert (tmp_path / "checkpoint-2" / STATE_FILE).is_file()
    with pytest.raises(ModelError, match=STATE_FILE):
        load_state(fresh, tmp_path)


def test_accumulated_batches_weigh_by_their_pairs(parts):
    model, pairs = parts
    ask = ASK(None)
    batch = pairs.collate([pairs[i] for i in (0, 2, 4)])
    labels = batch.pop("labels")
    with torch.no_grad():
        outputs = model.eval()(**batch)
        alone = ASKLoss(ask)(outputs, labels)
        torch.testing.assert_close(ASKLoss(ask)(outputs, labels, num_items_in_batch=torch.tensor(12)), alone / 4)
    with pytest.raises(ConfigError, match="labels"):
        ASKLoss(ask)(outputs, None)


def test_fine_tuning_end_to_end(tiny_clap, library, tmp_path):
    import huggingface_clap

    huggingface_clap.main([str(tiny_clap), str(library), str(tmp_path / "out"), "--epochs", "1", "--batch", "4"])
    model = transformers.ClapModel.from_pretrained(tmp_path / "out")
    assert transformers.ClapFeatureExtractor.from_pretrained(tmp_path / "out").truncation == "rand_trunc"
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")(["a tone"], return_tensors="pt")
    vector = model.get_text_features(**{k: tokens[k] for k in ("input_ids", "attention_mask")}).pooler_output
    torch.testing.assert_close(vector.norm(dim=1), torch.ones(1))
