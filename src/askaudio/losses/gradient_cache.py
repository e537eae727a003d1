"""The exact gradient of a batch that does not fit in memory, piece by piece.

Encode in pieces without gradient, take the loss's gradient on the embeddings, then encode each piece again and push its
share of that gradient through. Memory is that of one piece; the price is a second forward pass. Random draws (dropout)
are repeated, so this is the gradient of the whole batch (batch statistics apart, which see a piece).

Source: Gao et al. 2021 (arXiv 2101.06983), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Piece = TypeVar("Piece")


def cached_backward(
    encode: Callable[[Piece], tuple[Tensor, Tensor]],
    pieces: Sequence[Piece],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Add the gradient of ``loss`` over all pieces as one batch to the parameters' ``grad``.

    Args:
        encode: One piece -> (audio (n, D), text (n, D)).
        pieces: The batch, cut up.
        loss: Embeddings of the whole batch -> scalar, for example ``lambda a, t: ask(a, t, ids).total``. Called once;
            its own parameters (a temperature) get their gradient too.

    Returns:
        The loss, detached.
    """
    states, rows = [], []
    with torch.no_grad():
        for piece in pieces:
            states.append(torch.get_rng_state())
            rows.append(encode(piece))
    audio = torch.cat([a for a, _ in rows]).requires_grad_()
    text = torch.cat([t for _, t in rows]).requires_grad_()
    value = loss(audio, text)
    value.backward()
    after = torch.get_rng_state()
    start = 0
    for piece, state in zip(pieces, states, strict=True):
        torch.set_rng_state(state)
        a, t = encode(piece)
        stop = start + len(a)
        torch.autograd.backward([a, t], [_grad(audio)[start:stop], _grad(text)[start:stop]])
        start = stop
    torch.set_rng_state(after)
    return value.detach()


def _grad(x: Tensor) -> Tensor:
    return torch.zeros_like(x) if x.grad is None else x.grad
