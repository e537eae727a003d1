"""ASK in the Hugging Face Trainer: a loss over the model's outputs, and a callback that reports steps and epochs.

Example::

    trainer = Trainer(model, args, train_dataset=pairs, compute_loss_func=ASKLoss(ask), callbacks=[ASKCallback(ask)])

The column ``labels`` holds the numbers of the clips, and the model returns ``audio_embeds`` and ``text_embeds``, as
``ClapModel`` does. A learned temperature is a parameter of ``ask``: give its parameters to the optimizer too
(``optimizers=``). ``examples/huggingface_clap.py`` runs it. The callback serves the sentence-transformers trainer too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from askaudio.ask.objective import ASK
from askaudio.core.errors import ConfigError, ModelError
from askaudio.core.extras import require
from askaudio.core.files import atomic_path

STATE_FILE = "ask.safetensors"
_TrainerCallback: Any = require("transformers", "hf").TrainerCallback


class ASKLoss:
    """A loss for ``Trainer(compute_loss_func=...)``.

    Args:
        ask: The objective.
        audio: Name of the audio embeddings (B, D) among the model's outputs.
        text: Name of the text embeddings (B, D).
    """

    def __init__(self, ask: ASK, audio: str = "audio_embeds", text: str = "text_embeds") -> None:
        self.ask, self.audio, self.text = ask, audio, text

    def __call__(self, outputs: Any, labels: Tensor | None, num_items_in_batch: Any = None) -> Tensor:
        """Loss of a batch; ``labels`` (B,) are the numbers of the clips.

        Raises:
            ConfigError: The data set has no column ``labels``.
        """
        if labels is None:
            raise ConfigError("ASK needs the number of each pair's clip: give the data set a column 'labels'")
        audio, text = (F.normalize(outputs[name], dim=-1) for name in (self.audio, self.text))
        total = self.ask(audio, text, labels).total
        # the trainer sums the losses of accumulated batches and passes the number of pairs in all of them
        return total if num_items_in_batch is None else total * (len(labels) / num_items_in_batch)


class ASKCallback(_TrainerCallback):
    """Tells ASK that a step or an epoch is over, and keeps its state beside each checkpoint (``ask.safetensors``).

    Args:
        ask: The objective.
    """

    def __init__(self, ask: ASK) -> None:
        self.ask = ask

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the objective to the device of the model."""
        self.ask.to(args.device)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After the optimizer's step; accumulated batches are one."""
        self.ask.step_ended()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After the last batch: by default the base is encoded again here."""
        self.ask.epoch_ended()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Beside the trainer's own files of this checkpoint."""
        if state.is_world_process_zero:
            save_state(self.ask, Path(args.output_dir) / f"checkpoint-{state.global_step}")


def save_state(ask: ASK, checkpoint: Path | str) -> None:
    """Write ASK's state into a checkpoint folder."""
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in ask.state_dict().items()}
    with atomic_path(Path(checkpoint) / STATE_FILE) as temporary:
        save_file(tensors, temporary)


def load_state(ask: ASK, checkpoint: Path | str) -> None:
    """Load the state of a checkpoint; call it before ``trainer.train(resume_from_checkpoint=...)``.

    Raises:
        ModelError: The checkpoint has none, or that of another base.
    """
    try:
        ask.load_state_dict(load_file(Path(checkpoint) / STATE_FILE))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{Path(checkpoint) / STATE_FILE} is not the state of this objective: {error}") from error
