"""Filters such as ``duration<3 and channels=2 and (tag=rain or name~storm) and not artist="Bob"``.

One small tree, folded into whatever an engine needs: a Python truth value, a numpy mask, SQL for LanceDB, SQL with
parameters for PostgreSQL. Values never become part of an SQL text unquoted. The logic has two values only: a
comparison with a fact that is missing is false, and ``!=`` and ``not`` turn that round.

Numbers (NUMBERS below) compare by size. Everything else is text: ``=``, ``!=``, ``in`` and ``~`` (contains) without
regard to case; a list (tags) matches when one of its members does. Ids compare exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypeVar

from askaudio.core.errors import ConfigError

IDS = ("entry_id", "clip_id")
ENTRY_NUMBERS = ("start_s", "end_s")
DOC_NUMBERS = ("duration_s", "sample_rate_hz", "channels", "bits", "size_bytes", "modified_s")
NUMBERS = (*ENTRY_NUMBERS, *DOC_NUMBERS)
ALIASES = {
    "duration": "duration_s",
    "length": "duration_s",
    "rate": "sample_rate_hz",
    "start": "start_s",
    "end": "end_s",
    "size": "size_bytes",
    "modified": "modified_s",
    "tag": "tags",
    "keyword": "tags",
    "clip": "clip_id",
}
_SIZES = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Compare:
    """``field op value``; ``in`` carries several values, every other operator one."""

    field: str
    op: str
    values: tuple[str | float, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    """At least one part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter: TypeAlias = Compare | All | Any_ | Not
T = TypeVar("T")


def clips_are(clip_ids: Sequence[str]) -> Filter:
    """The filter that names these clips."""
    return Compare("clip_id", "in", tuple(clip_ids))


def fold(
    tree: Filter, leaf: Callable[[Compare], T], every: Callable[[list[T]], T], some: Callable[[list[T]], T],
    negate: Callable[[T], T],
) -> T:  # fmt: skip
    """Replace each comparison by ``leaf`` of it and join them; ``!=`` arrives as the negation of ``=``."""
    if isinstance(tree, Compare):
        if tree.op == "!=":
            return negate(leaf(Compare(tree.field, "=", tree.values)))
        return leaf(tree)
    if isinstance(tree, Not):
        return negate(fold(tree.part, leaf, every, some, negate))
    parts = [fold(part, leaf, every, some, negate) for part in tree.parts]
    return every(parts) if isinstance(tree, All) else some(parts)


# --- facts: what of an entry a filter can see ------------------------------------------------------------------


def clean_text(value: object) -> str:
    """How texts are compared: lower case, white space as single blanks; 3.0 reads as 3."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).encode("utf-8", "replace").decode()  # file names may hold bytes that are no text
    return " ".join(text.lower().split())


def number_of(metadata: Mapping[str, Any], name: str) -> float | None:
    """A number of the metadata, None when it is missing or no number."""
    value = metadata.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def terms_of(path: str, metadata: Mapping[str, Any]) -> set[str]:
    """All ``field=text`` facts of a recording."""
    terms = {f"path={clean_text(path)}"}
    for key, value in metadata.items():
        if key in NUMBERS or isinstance(value, Mapping):
            continue
        members = value if isinstance(value, list | tuple) else [value]
        terms.update(f"{key.lower()}={clean_text(member)}" for member in members if member is not None)
    return terms


def compare_numbers(value: float | None, compare: Compare) -> bool:
    """Whether a number satisfies a comparison; a missing one does not."""
    if value is None or value != value:
        return False
    wanted = [float(v) for v in compare.values]
    first = wanted[0]
    match compare.op:
        case "<":
            return value < first
        case "<=":
            return value <= first
        case ">":
            return value > first
        case ">=":
            return value >= first
    return value in wanted


def holds(tree: Filter | None, entry: Any) -> bool:
    """Whether an entry satisfies a filter: the plain meaning, which every engine must agree with."""
    if tree is None:
        return True

    def leaf(compare: Compare) -> bool:
        name = compare.field
        if name in IDS:
            return getattr(entry, name) in compare.values
        if name in NUMBERS:
            value = getattr(entry, name) if name in ENTRY_NUMBERS else number_of(entry.metadata, name)
            return compare_numbers(value, compare)
        terms = terms_of(entry.path, entry.metadata)
        if compare.op == "~":
            return any(t.startswith(f"{name}=") and str(compare.values[0]) in t[len(name) + 1 :] for t in terms)
        return any(f"{name}={value}" in terms for value in compare.values)

    return fold(tree, leaf, all, any, lambda x: not x)


# --- reading ---------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<op><=|>=|!=|==|=|<|>|~)|(?P<mark>[(),])"""
    r"""|(?P<word>[^\s"'(),<>=!~]+))"""
)


class _Reader:
    """Recursive descent over the tokens of one filter text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None:
                self.fail(f"cannot read {text[position:]!r}")
            kind = str(found.lastgroup)
            self.tokens.append((kind, found.group(kind)))
            position = found.end()
        self.at = 0

    def fail(self, reason: str) -> NoReturn:
        raise ConfigError(
            f"filter {self.text!r}: {reason}. Expected something like: "
            'duration<3 and channels=2 and tag=rain, or name~"door slam", joined by and, or, not and brackets'
        )

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, *kinds: str) -> tuple[str, str]:
        token = self.peek()
        if kinds and token[0] not in kinds:
            self.fail(f"{token[1] or 'its end'!r} where {' or '.join(kinds)} was expected")
        self.at += 1
        return token

    def said(self, word: str) -> bool:
        kind, text = self.peek()
        if kind == "word" and text.lower() == word:
            self.at += 1
            return True
        return False

    def either(self) -> Filter:
        parts = [self.both()]
        while self.said("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Any_(tuple(parts))

    def both(self) -> Filter:
        parts = [self.one()]
        while self.said("and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def one(self) -> Filter:
        if self.said("not"):
            return Not(self.one())
        if self.peek() == ("mark", "("):
            self.at += 1
            inner = self.either()
            if self.take()[1] != ")":
                self.fail("a bracket is not closed")
            return inner
        return self.comparison()

    def comparison(self) -> Filter:
        name = self.take("word")[1].lower()
        name = ALIASES.get(name, name)
        if not re.fullmatch(r"[a-z_][a-z0-9_.-]*", name):
            self.fail(f"{name!r} is no field name")
        if self.said("in"):
            op, values = "in", self.members()
        else:
            op = self.take("op")[1].replace("==", "=")
            values = [self.value()]
        return Compare(name, op, tuple(self.typed(name, op, value) for value in values))

    def members(self) -> list[str]:
        if self.take()[1] != "(":
            self.fail("'in' needs a list in brackets")
        values = [self.value()]
        while (mark := self.take("mark")[1]) == ",":
            values.append(self.value())
        if mark != ")":
            self.fail("the list of 'in' is not closed")
        return values

    def value(self) -> str:
        kind, text = self.take("word", "text")
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "text" else text

    def typed(self, name: str, op: str, value: str) -> str | float:
        if name in IDS:
            if op not in ("=", "!=", "in"):
                self.fail(f"{name} knows only =, != and in")
            return value
        if name in NUMBERS:
            if op == "~":
                self.fail(f"{name} is a number and cannot contain a text")
            try:
                return float(value)
            except ValueError:
                self.fail(f"{name} is a number, got {value!r}")
        if op in _SIZES:
            self.fail(f"{name} does not compare by size; numbers are: {', '.join(NUMBERS)}")
        return clean_text(value)


def parse_filter(where: str | Filter | None) -> Filter | None:
    """Read a filter text; a ready tree, None and blank text pass.

    Raises:
        ConfigError: The text cannot be read; the message quotes it and shows a right one.
    """
    if where is None or not isinstance(where, str):
        return where
    reader = _Reader(where)
    if not reader.tokens:
        return None
    try:
        tree = reader.either()
    except RecursionError:
        reader.fail("nested too deeply")
    if reader.peek()[0] != "end":
        reader.fail(f"{reader.peek()[1]!r} after its end; parts are joined by and, or")
    return tree
