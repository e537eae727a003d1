"""Graph refinement: messages over the neighbor graph of a base, with reliabilities in the edge weights.

Parameter-free (LightGCN-style): x <- normalise((1 - alpha) x + alpha W x), ``depth`` times, W the row-stochastic sparse
(N, N) matrix of neighbor weights, for audio and text alike. Learned: one attention layer gives W from the rows
themselves. Cost of a round: N x K x D multiplications as a sparse matrix product.

Source: He et al. 2020 (arXiv 2002.02126), equation 8; Velickovic et al. 2018 (arXiv 1710.10903), section 2.1.
Differs: rows are scaled to length 1 after each round; normalised by row, since neighbor lists are directed.
"""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.knowledge.base.knowledge_base import KnowledgeBase


def sparse_graph(rows: Tensor, weights: Tensor, n: int) -> Tensor:
    """Sparse matrix of the edges: its product with node rows is the weighted sum of each node's neighbors.

    Args:
        rows: (N, K) neighbors of each node.
        weights: (N, K) weights of the edges.
        n: Number of nodes that ``rows`` counts among, hence of columns.

    Returns:
        (N, n) sparse CSR matrix.
    """
    k = rows.shape[1]
    starts = torch.arange(0, rows.shape[0] * k + 1, k)
    order = torch.argsort(rows, dim=1, stable=True)  # CSR wants columns in order
    columns, values = rows.gather(1, order), weights.gather(1, order)
    with warnings.catch_warnings():  # torch calls its CSR type a beta at each first use
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            starts, columns.reshape(-1), values.reshape(-1), size=(rows.shape[0], n), check_invariants=False
        )


def message_pass(x: Tensor, graph: Tensor, alpha: float, depth: int) -> Tensor:
    """``depth`` rounds of x <- normalise((1 - alpha) x + alpha W x).

    Args:
        x: (N, D) rows of length 1, or of zeros where a side is missing; these stay zeros.
        graph: W, (N, N) sparse matrix from ``sparse_graph``.
        alpha: Share of the neighbors' message, 0 (none) to 1.
        depth: Rounds; in each a row reads its neighbors, so that depth d reaches d edges far.

    Returns:
        (N, D) rows of length 1 or 0.
    """
    present = x.norm(dim=1, keepdim=True) > 0
    for _ in range(depth):
        x = F.normalize((1.0 - alpha) * x + alpha * (graph @ x), dim=1) * present
    return x


class GraphAttention(nn.Module):
    """One attention layer over (N, K) neighbors: learned edge weights times the given ones.

    Args:
        dim: D.
        hidden: Width of queries and keys.

    It starts as the parameter-free layer (equal attention, hence the given weights); ``fit_attention`` trains it.
    """

    def __init__(self, dim: int, hidden: int = 64) -> None:
        super().__init__()
        self.query = nn.Linear(dim, hidden, bias=False)
        self.key = nn.Linear(dim, hidden, bias=False)
        nn.init.zeros_(self.query.weight)

    def forward(self, x: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        """Compute the edge weights of all nodes.

        Args:
            x: (N, D) nodes.
            rows: (N, K) neighbors of each node.
            weights: (N, K) given weights; 0 where there is no neighbor.

        Returns:
            (N, K) edge weights; a row sums to 1, or to 0 without neighbors.
        """
        return self._attend(self.query(x), self.key(x)[rows], weights)

    def edges(self, nodes: Tensor, neighbors: Tensor, weights: Tensor) -> Tensor:
        """Compute the edge weights of some nodes, as ``forward`` does for all.

        Args:
            nodes: (n, D).
            neighbors: (n, K, D) embeddings of their neighbors.
            weights: (n, K) given weights; 0 where there is no neighbor.

        Returns:
            (n, K) edge weights.
        """
        return self._attend(self.query(nodes), self.key(neighbors), weights)

    @staticmethod
    def _attend(q: Tensor, k: Tensor, weights: Tensor) -> Tensor:
        """Queries (n, H), keys (n, K, H), given weights (n, K) -> edge weights (n, K)."""
        score = (q[:, None, :] * k).sum(-1) / q.shape[1] ** 0.5
        score = score + weights.clamp_min(1e-12).log()
        attention = torch.softmax(score, dim=1) * (weights > 0)
        return attention / attention.sum(dim=1, keepdim=True).clamp_min(1e-12)


def fit_attention(
    layer: GraphAttention,
    base: KnowledgeBase,
    rows: Tensor,
    weights: Tensor,
    *,
    steps: int = 50,
    batch: int = 256,
    lr: float = 1e-3,
    temperature: float = 0.1,
    seed: int = 0,
) -> float:
    """Train the layer on a snapshot: the neighbors of an entry must identify its own partner in a batch.

    The mean of an entry's neighbors' texts (weighted by the layer) has to pick out its audio, and the mirror. The entry
    itself is not among its neighbors, so copying is no way out.

    Args:
        layer: Changed in place.
        base: N entries; those with audio are used.
        rows: (N, K) neighbors.
        weights: (N, K) given edge weights.
        steps: Optimizer steps (Adam).
        batch: Entries a step.
        lr: Learning rate.
        temperature: Of the contrast.
        seed: Of the batches.

    Returns:
        Loss of the last step, in nats; log(batch) is chance. NaN where there is nothing to train on.
    """
    paired = base.index.has_audio.nonzero()[:, 0].to(rows.device)
    if steps < 1 or len(paired) < 2 or rows.shape[1] == 0:
        return float("nan")
    audio, text = base.audio.float(), base.text.float()
    joint = torch.cat([audio, text], dim=1)
    generator = torch.Generator().manual_seed(seed)
    layer.requires_grad_(True)
    optimizer = torch.optim.Adam(layer.parameters(), lr)
    value = torch.zeros(())
    for _ in range(steps):
        chosen = paired[torch.randperm(len(paired), generator=generator)[:batch].to(paired.device)]  # (b,)
        near = rows[chosen]  # (b, K)
        with torch.enable_grad():
            edge = layer.edges(joint[chosen], joint[near], weights[chosen].float()).unsqueeze(-1)  # (b, K, 1)
            of_text = F.normalize((edge * text[near]).sum(dim=1), dim=1)  # (b, D)
            of_audio = F.normalize((edge * audio[near]).sum(dim=1), dim=1)
            own = torch.arange(len(chosen), device=chosen.device)
            value = F.cross_entropy(of_text @ audio[chosen].T / temperature, own)
            value = value + F.cross_entropy(of_audio @ text[chosen].T / temperature, own)
            optimizer.zero_grad()
            value.backward()
        optimizer.step()
    optimizer.zero_grad()
    layer.requires_grad_(False)  # an objective's optimizer must not touch it between two refreshes
    return value.item() / 2


def propagate(
    base: KnowledgeBase,
    rows: Tensor,
    weights: Tensor,
    alpha: float,
    *,
    depth: int = 1,
    layer: nn.Module | None = None,
) -> KnowledgeBase:
    """Message passing on both sides of a base.

    Args:
        base: N entries.
        rows: (N, K) neighbors of each entry.
        weights: (N, K) edge weights; rows sum to 1 or 0.
        alpha: Share of the message.
        depth: Rounds.
        layer: Gives edge weights from the joint rows (``GraphAttention`` of width 2 D).

    Returns:
        A base with the same entries and the version of ``base``; itself where nothing is to be passed.
    """
    if alpha == 0 or rows.shape[1] == 0 or len(base) == 0:
        return base
    dtype = torch.float64 if base.text.dtype == torch.float64 else torch.float32
    audio, text = base.audio.to(dtype), base.text.to(dtype)
    if layer is not None:
        with torch.no_grad():
            weights = layer(torch.cat([audio, text], dim=1), rows, weights.to(dtype))
    # a neighbor without audio sends nothing to the audio side
    from_audio = weights * base.index.has_audio[rows]
    from_audio = from_audio / from_audio.sum(dim=1, keepdim=True).clamp_min(1e-12)
    n = len(base)
    return base.replaced(
        message_pass(audio, sparse_graph(rows, from_audio.to(dtype), n), alpha, depth),
        message_pass(text, sparse_graph(rows, weights.to(dtype), n), alpha, depth),
    )
