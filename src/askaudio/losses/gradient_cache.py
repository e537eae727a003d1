"""The exact gradient of a batch that does not fit in memory, piece by piece.

Encode in pieces without gradient, take the loss's gradient on the embeddings, then encode each piece again and push its
share of that gradient through. What towers keep for the way back is that of one piece, however large the batch; only
embeddings (B, D) and logits (B, B) grow. The cost is a second forward pass. Random draws (dropout) are repeated, so
this is the gradient of the whole batch (batch statistics apart, which see a piece).

Source: Gao et al. 2021 (arXiv 2101.06983), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Piece = TypeVar("Piece")


class GradientCache(Generic[Piece]):
    """One batch on its two ways through the towers; for loops in which somebody else calls ``backward`` on the loss.

    Args:
        encode: One piece -> (audio (n, D), text (n, D)).
        pieces: The batch, cut up; at least one piece.
        module: Its buffers (running statistics) move once and not twice; None where there are none.
    """

    def __init__(
        self,
        encode: Callable[[Piece], tuple[Tensor, Tensor]],
        pieces: Sequence[Piece],
        module: nn.Module | None = None,
    ) -> None:
        self.encode, self.pieces, self.module = encode, pieces, module
        self._draws: list[list[Tensor]] = []
        self._leaves: tuple[Tensor, Tensor] | None = None
        self._autocast: list[tuple[str, torch.dtype]] = []  # a trainer leaves it before it calls backward

    @torch.no_grad()
    def embed(self) -> tuple[Tensor, Tensor]:
        """Embeddings of the whole batch, audio (B, D) and text (B, D), which gather the loss's gradient."""
        rows = []
        self._autocast = [(d, torch.get_autocast_dtype(d)) for d in ("cpu", "cuda") if torch.is_autocast_enabled(d)]
        with buffers_as_before(self.module):
            for piece in self.pieces:
                self._draws.append(_draws())
                rows.append(self.encode(piece))
        audio = torch.cat([a for a, _ in rows]).requires_grad_()
        text = torch.cat([t for _, t in rows]).requires_grad_()
        self._leaves = audio, text
        return audio, text

    def backward(self) -> None:
        """Add the batch's gradient to the parameters; call it once, after the loss's own ``backward``."""
        assert self._leaves is not None  # embed comes first
        grads = [_grad(leaf) for leaf in self._leaves]
        after, start = _draws(), 0
        for piece, draws in zip(self.pieces, self._draws, strict=True):
            _draw_from(draws)
            with ExitStack() as stack:
                for device, dtype in self._autocast:
                    stack.enter_context(torch.autocast(device, dtype))
                outputs = self.encode(piece)
            stop = start + len(outputs[0])
            torch.autograd.backward(outputs, [grad[start:stop].to(x) for grad, x in zip(grads, outputs, strict=True)])
            start = stop
        _draw_from(after)
        self._leaves, self._draws = None, []


def cached_backward(
    encode: Callable[[Piece], tuple[Tensor, Tensor]],
    pieces: Sequence[Piece],
    loss: Callable[[Tensor, Tensor], Tensor],
    module: nn.Module | None = None,
) -> Tensor:
    """Add the gradient of ``loss`` over all pieces as one batch to the parameters' ``grad``.

    Args:
        encode: One piece -> (audio (n, D), text (n, D)).
        pieces: The batch, cut up.
        loss: Embeddings of the whole batch -> scalar, for example ``lambda a, t: ask(a, t, ids).total``. Called once;
            its own parameters (a temperature) get their gradient too.
        module: See ``GradientCache``.

    Returns:
        The loss, detached.
    """
    cache = GradientCache(encode, pieces, module)
    value = loss(*cache.embed())
    value.backward()
    cache.backward()
    return value.detach()


def _grad(x: Tensor) -> Tensor:
    return torch.zeros_like(x) if x.grad is None else x.grad


def _draws() -> list[Tensor]:
    """State of torch's generators: the CPU's, then every GPU's that is in use."""
    of_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *of_gpus]


def _draw_from(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])


@contextmanager
def buffers_as_before(module: nn.Module | None) -> Iterator[None]:
    """A context after which the module's buffers (running statistics) have the values that they had before it."""
    kept = [] if module is None else [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, before in kept:
            buffer.copy_(before)
