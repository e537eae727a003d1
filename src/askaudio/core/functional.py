"""Small numpy functions with more than one user."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from askaudio.core.types import FloatArray


def normalise_rows(x: npt.ArrayLike) -> FloatArray:
    """Scale each row to length 1; a row of zeros stays zero (no NaN).

    Args:
        x: Array (..., D).

    Returns:
        Float32 array of the same shape.
    """
    x = np.asarray(x, dtype=np.float32)
    norm = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)
