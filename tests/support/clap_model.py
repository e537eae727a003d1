"""A small random CLAP of the real architecture, saved as the transformers library saves one."""

import json
from pathlib import Path

import torch

VOCABULARY = 300


def write_clap(folder: Path, fusion: bool = False) -> Path:
    """Write model, feature extractor and tokenizer; 12 thousand parameters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    text = {
        "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 80, "pad_token_id": 1, "bos_token_id": 0,
        "eos_token_id": 2,
    }  # fmt: skip
    audio = {
        "window_size": 8, "num_mel_bins": 64, "spec_size": 256, "patch_size": 4, "patch_stride": [4, 4],
        "num_classes": 3, "hidden_size": 16, "patch_embeds_hidden_size": 8, "depths": [1, 1],
        "num_attention_heads": [1, 2], "enable_fusion": fusion,
    }  # fmt: skip
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=16)).eval()
    for name, values in model.named_buffers():  # as after training on decibels
        if name.endswith("running_mean"):
            values.uniform_(-40, -20)
        if name.endswith("running_var"):
            values.uniform_(50, 200)
    model.save_pretrained(folder)
    truncation = "fusion" if fusion else "rand_trunc"
    ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation=truncation).save_pretrained(folder)
    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = {token: number for number, token in enumerate([*marks, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        model_max_length=78,
    ).save_pretrained(folder)  # fmt: skip
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "clap"}))
    return folder
