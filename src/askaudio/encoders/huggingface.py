"""Models that the transformers and sentence-transformers libraries saved, as encoders: ``hf:NAME_OR_FOLDER``.

Opens any ClapModel, PE-AV (``pe_audio``, ``pe_audio_video``), GLAP-class models, any sentence-transformers model that
takes audio, and encoder folders that were pushed to the hub.
The models' own processors compute the features, but get at most one window, so that they never crop at random. Sounds
and texts are encoded one at a time, so that a vector does not depend on the other inputs. Weights are read from
safetensors only, no code of a model's repository is run, and only ``fetch`` downloads anything.

Cost: torch. To serve a ClapModel without it: ``askaudio export hf:NAME_OR_FOLDER OUT``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.errors import DataError, ModelError
from askaudio.core.extras import require
from askaudio.core.files import fingerprint, read_json, sha256_file
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray, Json
from askaudio.encoders.glap import MEL, Glap
from askaudio.encoders.glap import WINDOW_S as GLAP_WINDOW_S
from askaudio.encoders.onnx import SETTINGS_FILE, OnnxEncoder
from askaudio.encoders.recording import FileEncoder

KEPT = ("*.safetensors", "*.onnx", "*.json", "*.txt", "*.model")
WINDOW_S = 10.0  # where a processor does not say how long a sound may be


class HuggingFaceEncoder(FileEncoder):
    """An encoder made of two functions that encode one sound and one text.

    Args:
        name: Name in messages and tables.
        folder: Folder of the model; the checksums of its files make the fingerprint.
        sample_rate_hz: Rate of the waveforms.
        window_s: Longest sound that the model's processor does not crop.
        sound: Waveform (S,) -> vector (D,).
        text: Text -> vector (D,).
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        sample_rate_hz: int,
        window_s: float,
        sound: Callable[[FloatArray], FloatArray],
        text: Callable[[str], FloatArray],
    ) -> None:
        self.name = name
        self.sample_rate_hz = sample_rate_hz
        self.window_s = self.hop_s = window_s
        self._sound, self._text = sound, text
        self.embed_dim = len(text("a sound"))
        files = sorted(path for pattern in KEPT for path in folder.rglob(pattern))
        sums = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
        self.fingerprint = fingerprint(["hf", window_s, sums])

    def encode_audio(self, waveforms: Sequence[FloatArray]) -> FloatArray:
        """Vectors (B, D) of B mono waveforms (S_i,) at ``sample_rate_hz``, each at most ``window_s`` long.

        Raises:
            ModelError: A waveform is empty, too long, or holds NaN or infinite samples.
        """
        longest = round(self.window_s * self.sample_rate_hz)
        checked = [np.asarray(waveform, dtype=np.float32) for waveform in waveforms]
        for samples in checked:
            if samples.ndim != 1 or not 0 < len(samples) <= longest or not np.isfinite(samples).all():
                raise ModelError(f"a waveform must be finite, of shape (S,) with 1 <= S <= {longest}: {samples.shape}")
        return self._rows([self._sound(samples) for samples in checked])

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Vectors (B, D) of B texts."""
        if isinstance(texts, str):
            raise ModelError("encode_text takes a list of texts, got one text; write [text]")
        return self._rows([self._text(text) for text in texts])

    def _rows(self, vectors: list[FloatArray]) -> FloatArray:
        return normalise_rows(np.stack(vectors)) if vectors else np.zeros((0, self.embed_dim), dtype=np.float32)


def open_huggingface(name: str) -> FileEncoder:
    """Open a saved model.

    Args:
        name: A folder, or ``owner/name`` or ``owner/name@revision`` of one that was fetched before.

    Raises:
        ModelError: It is not on this machine, or does not take both audio and text.
        MissingExtraError: transformers, or for its models sentence-transformers, is not installed.
    """
    folder = locate(name)
    if (folder / SETTINGS_FILE).is_file():
        return OnnxEncoder(folder)
    if (folder / "modules.json").is_file():
        return _open_sentence_transformer(name, folder)
    kind = _config(folder).get("model_type")
    if kind in OPENERS:
        return OPENERS[kind](name, folder)
    raise ModelError(
        f"{folder} is no ClapModel, PE-AV or GLAP (model_type {', '.join(OPENERS)} in config.json), no "
        "sentence-transformers model (modules.json) and no encoder folder (encoder.json); other architectures can be "
        "wrapped by sentence-transformers first"
    )


def locate(name: str) -> Path:
    """The folder of a model that is on this machine.

    Raises:
        ModelError: It is not; the message says how to get it.
    """
    if not name:
        raise ModelError("hf: needs a name or folder after the colon, for example hf:laion/clap-htsat-unfused")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        return _snapshot(name, local_files_only=True)
    except (OSError, ValueError) as error:  # what the hub library raises for a model that is absent
        raise ModelError(f"hf:{name} is not on this machine; get it with: askaudio models pull hf:{name}") from error


def fetch(name: str) -> Path:
    """Download a model of the Hugging Face hub into its library's cache; pickled weights are not downloaded.

    Raises:
        ModelError: No network, no such model, or one without safetensors weights.
    """
    try:
        folder = _snapshot(name, local_files_only=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"hf:{name} cannot be fetched: {error}") from error
    if not any([*folder.rglob("*.safetensors"), *folder.rglob("*.onnx")]):
        raise ModelError(f"hf:{name} has no safetensors weights at this revision, and pickled ones are never loaded")
    return folder


def load_clap(folder: Path) -> Any:
    """A transformers ``ClapModel`` with plain attention, in evaluation mode.

    Raises:
        ModelError: Its weights are missing or damaged.
    """
    transformers = require("transformers", "hf")
    try:
        model = transformers.ClapModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, attn_implementation="eager"
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder} holds no ClapModel that can be read: {str(error).splitlines()[0]}") from error
    return model.eval().requires_grad_(False)


def _open_clap(name: str, folder: Path) -> FileEncoder:
    torch, transformers = require("torch", "hf"), require("transformers", "hf")
    model = load_clap(folder)
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def sound(samples: FloatArray) -> FloatArray:
        inputs = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        with torch.inference_mode():
            return model.get_audio_features(**inputs).pooler_output[0].numpy()

    def text(words: str) -> FloatArray:
        inputs = tokenizer(words, return_tensors="pt", truncation=True)
        with torch.inference_mode():
            return model.get_text_features(**inputs).pooler_output[0].numpy()

    return HuggingFaceEncoder(name, folder, extractor.sampling_rate, float(extractor.max_length_s), sound, text)


def _open_pe_audio(name: str, folder: Path) -> FileEncoder:
    """Perception Encoder Audio-Visual: its audio and text sides; video is not used."""
    torch, transformers = require("torch", "hf"), require("transformers", "hf")
    try:
        model = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, attn_implementation="eager", dtype="float32"
        )
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder} holds no PE-AV that can be read: {str(error).splitlines()[0]}") from error
    model = getattr(model, "audio_model", model).eval().requires_grad_(False)

    def sound(samples: FloatArray) -> FloatArray:
        inputs = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        with torch.inference_mode():
            return model.audio_head(model.audio_encoder(inputs["input_values"]).pooler_output)[0].numpy()

    def text(words: str) -> FloatArray:
        inputs = tokenizer(words, return_tensors="pt", truncation=True)
        with torch.inference_mode():
            out = model.text_model(**inputs, output_hidden_states=True)
            return model.text_audio_head(out.hidden_states[-1][:, 0])[0].numpy()

    return HuggingFaceEncoder(name, folder, int(extractor.sampling_rate), WINDOW_S, sound, text)


def _open_glap(name: str, folder: Path) -> FileEncoder:
    model = Glap(folder)
    return HuggingFaceEncoder(name, folder, MEL.sample_rate_hz, GLAP_WINDOW_S, model.sound, model.words)


def _open_sentence_transformer(name: str, folder: Path) -> FileEncoder:
    library = require("sentence_transformers", "hf")
    model = library.SentenceTransformer(str(folder), device="cpu", local_files_only=True).eval()
    if not {"text", "audio"} <= set(model.modalities):
        raise ModelError(f"{folder} takes {', '.join(map(str, model.modalities))}; a search model takes text and audio")
    extractor = _feature_extractor(model, folder)
    rate_hz = int(extractor.sampling_rate)
    window_s = float(getattr(extractor, "max_length_s", None) or getattr(extractor, "chunk_length", None) or WINDOW_S)

    def sound(samples: FloatArray) -> FloatArray:
        return model.encode([{"array": samples, "sampling_rate": rate_hz}], show_progress_bar=False)[0]

    def text(words: str) -> FloatArray:
        return model.encode([words], show_progress_bar=False)[0]

    return HuggingFaceEncoder(name, folder, rate_hz, window_s, sound, text)


def _feature_extractor(model: Any, folder: Path) -> Any:
    """The feature extractor of the first module that has one."""
    for module in model.modules():
        processor = getattr(module, "processor", None)
        extractor = getattr(processor, "feature_extractor", processor)
        if hasattr(extractor, "sampling_rate"):
            return extractor
    raise ModelError(f"{folder} does not state its sample rate; expected a feature extractor with sampling_rate")


# model_type in config.json -> function that opens it
OPENERS: dict[str, Callable[[str, Path], FileEncoder]] = {
    "clap": _open_clap,
    "pe_audio": _open_pe_audio,
    "pe_audio_video": _open_pe_audio,
    "glap": _open_glap,
}


def _snapshot(name: str, local_files_only: bool) -> Path:
    hub = require("huggingface_hub", "hf")
    repository, _, revision = name.partition("@")
    found = hub.snapshot_download(
        repository, revision=revision or None, local_files_only=local_files_only, allow_patterns=list(KEPT)
    )
    return Path(found)


def _config(folder: Path) -> Json:
    try:
        config = read_json(folder / "config.json")
    except DataError:
        return {}
    return config if isinstance(config, dict) else {}
