"""Import of optional packages, with an error that gives the pip command."""

from __future__ import annotations

import importlib
from types import ModuleType

from askaudio.core.errors import MissingExtraError


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module; where it is missing, the error names the extra that installs it.

    Args:
        module: Dotted module name, for example ``"torch"``.
        extra: Name of the extra in pyproject.toml that installs it.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} is needed here and could not be imported ({error}). "
            f"Install it with: pip install 'askaudio[{extra}]'"
        ) from error
