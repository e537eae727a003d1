"""Recipe file + ``key=value`` -> a checked Recipe; every fault of all keys in one message.

A recipe is YAML with the sections of ``schema.py``. A section that is one word sets its ``kind``
(``knowledge: ask``, on the command line ``knowledge=ask``). Overrides win over the file, the file over the defaults.
"""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from askaudio.config.schema import Recipe, joint_faults
from askaudio.core.errors import ConfigError


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of the recipes that come with the package."""
    folder = Path(str(resources.files("askaudio.config") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The file behind a shipped recipe's name, a YAML file, or a run folder (its resolved recipe).

    Raises:
        ConfigError: There is none; the message lists the shipped ones.
    """
    shipped = shipped_recipes()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if (path / "recipe.yaml").is_file():
        return path / "recipe.yaml"
    if path.is_file():
        return path
    near = difflib.get_close_matches(name, shipped, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(
        f"no recipe {name!r}{hint} Give one of {', '.join(shipped)}, a .yaml file, or a run folder. "
        "See: askaudio train --help"
    )


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        name: What ``find_recipe`` takes.
        overrides: ``section.key=value`` each; the value is YAML.

    Raises:
        ConfigError: All faults together, one a line.
    """
    path = find_recipe(name)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(tree).__name__}")
    faults: list[str] = []
    tree = _unfold(tree)
    for override in overrides:
        _apply(tree, override, faults)
    recipe = _build(Recipe, tree, "", faults)
    if not faults:
        faults = joint_faults(recipe)
    if faults:
        raise ConfigError(f"{len(faults)} fault(s) in recipe {name!r}:\n  " + "\n  ".join(faults))
    return recipe


def dump_recipe(recipe: Recipe, head: str = "") -> str:
    """The recipe as YAML that ``load_recipe`` reads back to an equal one; ``head`` becomes its first comment."""
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    return comment + yaml.safe_dump(asdict(recipe), sort_keys=False, allow_unicode=True)


def _unfold(tree: dict[str, Any]) -> dict[str, Any]:
    """A copy in which a section given as one word is {"kind": word}."""
    sections = {f.name for f in fields(Recipe) if _is_section(f.name)}
    return {
        key: {"kind": value} if key in sections and isinstance(value, str) else
        dict(value) if isinstance(value, dict) else value
        for key, value in tree.items()
    }  # fmt: skip


def _is_section(key: str) -> bool:
    return is_dataclass(get_type_hints(Recipe).get(key))


def _apply(tree: dict[str, Any], override: str, faults: list[str]) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        faults.append(f"{override!r}: expected key=value, for example train.lr=0.001")
        return
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text  # a text such as *.wav
        if text.lstrip().startswith(("[", "{")):
            faults.append(f'{key}: got {text}, expected YAML; write texts in quotes: ["*.wav", "b"]')
    parts = key.split(".")
    if len(parts) == 1 and _is_section(key):
        parts = [key, "kind"]
    elif len(parts) == 1 and (sections := _sections_with(key)) and len(sections) == 1:
        parts = [*sections, key]  # devices=2, where one section alone has such a key
    if len(parts) == 1:
        tree[key] = value
    elif len(parts) == 2 and _is_section(parts[0]):
        section = tree.setdefault(parts[0], {})
        if isinstance(section, dict):
            section[parts[1]] = value
    else:
        faults.append(f"{key}: no such key{_near(parts[0], Recipe)}")


def _sections_with(key: str) -> list[str]:
    """Sections of the recipe that have this key."""
    hints = get_type_hints(Recipe)
    if key in hints:
        return []
    return [name for name, hint in hints.items() if is_dataclass(hint) and key in {f.name for f in fields(hint)}]


def _near(key: str, schema: type) -> str:
    known = [f.name for f in fields(schema)]
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _build(schema: type, tree: Any, where: str, faults: list[str]) -> Any:
    """Fill a dataclass from a dict; faults are collected; a faulty value is replaced by the default."""
    if not isinstance(tree, dict):
        faults.append(f"{where.rstrip('.')}: expected keys and values, got {tree!r}")
        return schema()
    hints = get_type_hints(schema)
    known = {f.name: f for f in fields(schema)}
    values = {}
    for key, value in tree.items():
        if key not in known:
            faults.append(f"{where}{key}: no such key{_near(str(key), schema)}")
        elif is_dataclass(hints[key]):
            values[key] = _build(hints[key], value, f"{where}{key}.", faults)  # type: ignore[arg-type]
        else:
            try:
                values[key] = _coerce(value, hints[key])
                _check_limits(values[key], known[key].metadata)
            except ValueError as error:
                values.pop(key, None)
                faults.append(f"{where}{key}: got {value!r}, expected {error}")
    return schema(**values)


def _coerce(value: Any, hint: Any) -> Any:
    """``value`` as the type ``hint`` or ValueError with what was expected."""
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint) or isinstance(value, bool):
            raise ValueError(f"one of {', '.join(map(str, get_args(hint)))}")
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _coerce(value, next(a for a in get_args(hint) if a is not type(None)))
    if origin is list:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise ValueError("a list")
        return [_coerce(item, get_args(hint)[0]) for item in items]
    if hint is str:
        if isinstance(value, (dict, list)) or value is None:
            raise ValueError("a text")
        return str(value)
    if hint is bool:
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value
    return _number(value, hint)


def _number(value: Any, hint: type) -> Any:
    """An int or float; YAML 1.1 reads 1e-3 as text, so text is tried too."""
    expected = "a whole number" if hint is int else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(expected)
    try:
        number = float(value)
    except ValueError:
        raise ValueError(expected) from None
    if not math.isfinite(number) or (hint is int and number != int(number)):
        raise ValueError(expected)
    return hint(number)


def _check_limits(value: Any, limits: Any) -> None:
    if "one_of" in limits and value not in limits["one_of"] and not value.startswith(limits["or"]):
        raise ValueError(f"one of {', '.join(limits['one_of'])}, or {limits['or']}NAME_OR_FOLDER")
    if "min" in limits and value < limits["min"]:
        raise ValueError(f"at least {limits['min']}")
    if "max" in limits and value > limits["max"]:
        raise ValueError(f"at most {limits['max']}")
    if "above" in limits and value <= limits["above"]:
        raise ValueError(f"more than {limits['above']}")
    if "below" in limits and value >= limits["below"]:
        raise ValueError(f"less than {limits['below']}")
