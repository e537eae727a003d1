"""Tiny random models of the transformers library, saved as it saves them: audio and text towers, and dual encoders."""

import warnings
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "barks", "rain", "door", "low", "high", "tone", "beep"]
_SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_CONVOLUTIONS = {"conv_dim": [8] * 3, "conv_stride": [5, 4, 4], "conv_kernel": [10, 8, 4], "num_conv_pos_embeddings": 4,
                 "num_conv_pos_embedding_groups": 2}  # fmt: skip
_DAC = {"encoder_hidden_size": 2, "downsampling_ratios": [4, 10], "codebook_dim": 4, "hidden_size": 8}
_PE_AUDIO = {**_SMALL, "num_attention_heads": 2, "head_dim": 8, "dac_config": _DAC}


def _audio(kind):
    import transformers as t

    if kind == "clap":
        audio = {"window_size": 8, "num_mel_bins": 64, "spec_size": 256, "patch_size": 4, "patch_stride": [4, 4],
                 "num_classes": 3, "hidden_size": 16, "patch_embeds_hidden_size": 8, "depths": [1, 1],
                 "num_attention_heads": [1, 2]}  # fmt: skip
        text = {**_SMALL, "vocab_size": 40, "max_position_embeddings": 40, "pad_token_id": 0, "bos_token_id": 2,
                "eos_token_id": 3}  # fmt: skip
        model = t.ClapModel(t.ClapConfig(text_config=text, audio_config=audio, projection_dim=16))
        return model, t.ClapFeatureExtractor(
            sampling_rate=8000, hop_length=80, fft_window_size=256, frequency_min=50, frequency_max=3800,
            max_length_s=2, feature_size=64, truncation="rand_trunc",
        )  # fmt: skip
    if kind == "ast":
        config = t.ASTConfig(**_SMALL, num_mel_bins=32, max_length=100)
        return t.ASTModel(config), t.ASTFeatureExtractor(num_mel_bins=32, max_length=100)
    if kind == "whisper":
        config = t.WhisperConfig(
            d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=24, decoder_ffn_dim=24, num_mel_bins=32, max_source_positions=100, vocab_size=50,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        )  # fmt: skip
        return t.WhisperModel(config), t.WhisperFeatureExtractor(feature_size=32, chunk_length=2)
    if kind == "pe_audio":
        text = {**_SMALL, "model_type": "modernbert", "vocab_size": 40, "pad_token_id": 0, "cls_token_id": 2,
                "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
        config = t.PeAudioConfig(text_config=text, audio_config=_PE_AUDIO)
        return t.PeAudioModel(config), t.PeAudioFeatureExtractor(sampling_rate=8000, hop_length=40)
    names = {"wavlm": "WavLM", "hubert": "Hubert", "data2vec": "Data2VecAudio"}
    config = getattr(t, f"{names[kind]}Config")(**_SMALL, **_CONVOLUTIONS, conv_pos_kernel_size=4)
    return getattr(t, f"{names[kind]}Model")(config), t.Wav2Vec2FeatureExtractor(
        sampling_rate=8000, do_normalize=kind != "hubert"
    )


AUDIO = ("clap", "ast", "whisper", "wavlm", "hubert", "data2vec", "pe_audio")
TEXT = ("bert", "roberta", "mpnet", "modernbert", "xlm_roberta", "m2m_100", "t5")


def write_audio(folder: Path, kind: str) -> Path:
    """One of ``AUDIO``."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, extractor = _audio(kind)
        model.eval().save_pretrained(folder)
        extractor.save_pretrained(folder)
        if kind in ("clap", "pe_audio"):
            write_tokenizer(folder)
    return folder


def write_text(folder: Path, kind: str) -> Path:
    """One of ``TEXT``."""
    import transformers as t

    common = {"vocab_size": 40, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "max_position_embeddings": 40}
    torch.manual_seed(0)
    if kind == "m2m_100":
        config = t.M2M100Config(
            d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=24, decoder_ffn_dim=24, **common,
        )  # fmt: skip
        model = t.M2M100Model(config)
    elif kind == "t5":
        model = t.T5EncoderModel(t.T5Config(d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, vocab_size=40))
    else:
        name = {"bert": "Bert", "roberta": "Roberta", "mpnet": "MPNet", "modernbert": "ModernBert",
                "xlm_roberta": "XLMRoberta"}[kind]  # fmt: skip
        extra = {"cls_token_id": 2, "sep_token_id": 3} if kind == "modernbert" else {}
        model = getattr(t, f"{name}Model")(getattr(t, f"{name}Config")(**_SMALL, **common, **extra))
    model.eval().save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """Words of ``WORDS``, with marks at both ends."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=38,
    ).save_pretrained(folder)  # fmt: skip


def write_glap(folder: Path, fairseq: bool = True) -> Path:
    """A dual encoder of the names under which GLAP is published: Dasheng, SONAR, two projections."""
    from safetensors.torch import save_file
    from transformers import M2M100Config, M2M100Model

    from askaudio.models.ced import CedTower

    torch.manual_seed(0)
    audio = CedTower(64, 2, 1, patch=(64, 4), places=252, mlp=32)
    audio.train()(torch.randn(4, 64, 96))
    text = M2M100Model(M2M100Config(
        d_model=64, encoder_layers=2, decoder_layers=1, encoder_attention_heads=1, encoder_ffn_dim=24, vocab_size=40,
        decoder_attention_heads=1, decoder_ffn_dim=24, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )).encoder  # fmt: skip
    tensors = {f"audio_encoder.model.{name}": value for name, value in audio.state_dict().items()}
    tensors = {name.replace("patch_embed.", "patch_embed.proj."): value for name, value in tensors.items()}
    for name, value in text.state_dict().items():
        if fairseq:
            for new, old in (("embed_tokens.", "encoder_frontend.embed."), ("out_proj", "output_proj"),
                             ("fc1", "ffn.inner_proj"), ("fc2", "ffn.output_proj"),
                             ("final_layer_norm", "ffn_layer_norm")):  # fmt: skip
                name = name.replace(new, old)
            name = f"encoder.{name}" if name.startswith("layers.") else name
        tensors[f"text_encoder.model.{name}"] = value
    for side, width in (("audio", 64), ("text", 64)):
        for layer, (rows, columns) in ((0, (12, width)), (2, (12, 12))):
            tensors[f"{side}_proj.{layer}.weight"] = 0.1 * torch.randn(rows, columns)
            tensors[f"{side}_proj.{layer}.bias"] = 0.1 * torch.randn(rows)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "glap"}')
    write_tokenizer(folder)
    return folder
