"""The model ``efficientat``: the authors' audio tower, which is pulled, with a head and text tower of this project.

The shipped folder holds ``encoder.json``, ``head.onnx`` (``embedding`` (B, 384) and ``logits`` (B, 527) -> (B, D)),
``text.onnx`` and ``tokenizer.json``. The last two may be in another model's folder, so that two models share one text
tower.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar

from askaudio.core.errors import ModelError
from askaudio.core.files import fingerprint, sha256_file
from askaudio.core.types import FloatArray
from askaudio.encoders.efficientat import EfficientATFeatures, tower_bytes
from askaudio.encoders.graph_cut import cut_at_mean
from askaudio.encoders.onnx import TEXT_FILE, TOKENIZER_FILE, OnnxEncoder
from askaudio.encoders.part_graphs import PartGraphs
from askaudio.encoders.session import open_session

HEAD_FILE = "head.onnx"


class EfficientATEncoder(OnnxEncoder):
    """The encoder made of a head folder and a tower file.

    Args:
        folder: Head, text tower and tokenizer.
        tower_file: The authors' checkpoint, or an ONNX file of it.
        tower_sha256: Expected checksum of the tower file; empty for any.
        text_folder: Folder of text tower and tokenizer, if ``folder`` has none.
        threads: Inputs that run in parallel; None for one per core. The vectors do not depend on it.

    Raises:
        ModelError: Files are missing or damaged, or the folder is from a newer version.
    """

    files: ClassVar[tuple[str, ...]] = (HEAD_FILE, TEXT_FILE, TOKENIZER_FILE)

    def __init__(
        self,
        folder: Path | str,
        tower_file: Path | str,
        tower_sha256: str = "",
        text_folder: Path | str | None = None,
        threads: int | None = None,
    ) -> None:
        self.tower_file = Path(tower_file)
        self._text_folder = Path(text_folder or folder)
        super().__init__(folder, threads)
        if not self.tower_file.is_file():
            raise ModelError(f"no EfficientAT tower at {self.tower_file}; get it: askaudio models pull efficientat")
        found = sha256_file(self.tower_file)
        if tower_sha256 not in ("", found):
            raise ModelError(
                f"{self.tower_file} is damaged (wrong checksum); get it again: askaudio models pull efficientat"
            )
        self.fingerprint = fingerprint([self.fingerprint, found])

    def path(self, file: str) -> Path:
        """Path of one of ``files``: in the folder, or in the one whose text tower it shares."""
        own = super().path(file)
        return own if file == HEAD_FILE or own.is_file() else self._text_folder / file

    @functools.cached_property
    def tower(self) -> EfficientATFeatures:
        """The audio tower."""
        return EfficientATFeatures(self.tower_file, front_end=self.front_end)

    def _one_sound(self, waveform: FloatArray) -> FloatArray:
        embedding, logits = self.tower.both(waveform)
        return self._run(self._audio, {"embedding": embedding[None], "logits": logits[None]}, HEAD_FILE)

    def _parts(self, graphs: PartGraphs, log_mel: FloatArray) -> tuple[FloatArray, FloatArray]:
        shares, embeddings, (logits,) = graphs.outputs({"spec": log_mel[None, None]})
        return shares, self._audio.run(None, {"embedding": embeddings, "logits": logits})[0]

    @functools.cached_property
    def _part_graphs(self) -> PartGraphs | None:
        cut = cut_at_mean(tower_bytes(self.tower_file), ("logits",))
        return PartGraphs(cut, str(self.tower_file)) if cut else None

    @functools.cached_property
    def _audio(self) -> Any:
        return open_session(self.content(HEAD_FILE), str(self.path(HEAD_FILE)))
