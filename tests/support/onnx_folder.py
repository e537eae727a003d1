"""An encoder folder of a few hundred bytes, made without torch: two random linear maps that know some words."""

from pathlib import Path

import numpy as np

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.logmel import LogMel
from askaudio.core.files import sha256_file, write_json
from askaudio.encoders.onnx_bytes import Graph

WORDS = ("[unknown]", "a", "low", "hum", "bright", "hiss", "rain", "dog", "barks")
LOG_MEL = LogMel(sample_rate_hz=8000, n_mels=32, n_fft=256, window=200, hop=80, f_max_hz=3800.0)
FRONT_END = FrontEnd(LOG_MEL, window_s=2.0, hop_s=2.0, short="repeat", short_s=0.5)


def write_encoder(folder: Path, dim: int = 12, seed: int = 0) -> Path:
    """Audio: mean log-mel times a matrix; text: mean of word vectors."""
    import onnx
    from tokenizers import Tokenizer, models, pre_tokenizers

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    audio = Graph({"log_mel": ("B", 32, "T")}, {"vector": ("B", dim)})
    audio.constant("time", np.asarray([2], dtype=np.int64))
    audio.constant("w", rng.standard_normal((32, dim)).astype(np.float32))
    audio.node("ReduceMean", ["log_mel", "time"], ["mean"], keepdims=0)
    audio.node("MatMul", ["mean", "w"], ["mapped"])
    audio.node("LpNormalization", ["mapped"], ["vector"], axis=1, p=2)
    (folder / "audio.onnx").write_bytes(audio.serialised())

    helper, kinds = onnx.helper, onnx.TensorProto
    words = onnx.numpy_helper.from_array(rng.standard_normal((len(WORDS), dim)).astype(np.float32), "words")
    places = onnx.numpy_helper.from_array(np.asarray([1], dtype=np.int64), "places")
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["looked_up"]),
        helper.make_node("ReduceMean", ["looked_up", "places"], ["mean"], keepdims=0),
        helper.make_node("LpNormalization", ["mean"], ["vector"], axis=1, p=2),
    ]
    inputs = [helper.make_tensor_value_info(name, kinds.INT64, ["B", "L"]) for name in ("ids", "mask")]
    outputs = [helper.make_tensor_value_info("vector", kinds.FLOAT, ["B", dim])]
    graph = helper.make_graph(nodes, "text", inputs, outputs, [words, places])
    # another opset than the audio side: what is put behind it must follow
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), folder / "text.onnx")

    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[unknown]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    sums = {file: sha256_file(folder / file) for file in ("audio.onnx", "text.onnx", "tokenizer.json")}
    settings = {"format": 1, "name": "base", "embed_dim": dim, "front_end": FRONT_END.to_json(), "sha256": sums}
    write_json(folder / "encoder.json", settings)
    return folder
