"""Filters such as ``duration<3 and channels=2 and (tag=rain or name~storm) and not artist="Bob"``.

A filter text is parsed into a small tree. ``fold`` turns the tree into what an engine needs: a Python bool, a numpy
mask, SQL for LanceDB, or SQL with parameters for PostgreSQL. Values never become part of an SQL text unquoted.
Unlike SQL, the logic has two values: a comparison with a missing value is false, and ``!=`` and ``not`` negate that to
true.

Numbers (NUMBERS below) compare by size; ``values.py`` reads them (48k, 0:03, 2024-05). Everything else is text: ``=``,
``!=``, ``in`` and ``~`` (contains) ignore case and Unicode composition; a list (tags) matches if one of its members
does. Ids compare exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias, TypeVar

from askaudio.core.errors import ConfigError
from askaudio.core.names import normal, readable
from askaudio.index.values import EXAMPLES, is_date, read_number, read_period

IDS = ("entry_id", "clip_id")
ENTRY_NUMBERS = ("start_s", "end_s")
MEASURED = ("loudness_lufs", "peak_dbfs", "silence_share", "brightness_hz", "pitch_hz", "onsets", "tempo_bpm")
DOC_NUMBERS = ("duration_s", "sample_rate_hz", "channels", "bits", "size_bytes", "modified_s", *MEASURED)
NUMBERS = (*ENTRY_NUMBERS, *DOC_NUMBERS)
ALIASES = {
    "duration": "duration_s",
    "length": "duration_s",
    "rate": "sample_rate_hz",
    "start": "start_s",
    "end": "end_s",
    "size": "size_bytes",
    "modified": "modified_s",
    "loudness": "loudness_lufs",
    "lufs": "loudness_lufs",
    "peak": "peak_dbfs",
    "silence": "silence_share",
    "brightness": "brightness_hz",
    "centroid": "brightness_hz",
    "pitch": "pitch_hz",
    "onset": "onsets",
    "tempo": "tempo_bpm",
    "bpm": "tempo_bpm",
    "tag": "tags",
    "keyword": "tags",
    "clip": "clip_id",
}
_SIZES = ("<", "<=", ">", ">=")
# facts that ``ingest`` stores where a file has them: known fields, whether or not a collection has such a file
FACTS = frozenset(
    [
        "path",
        "format",
        "tags",
        "caption",
        "title",
        "artist",
        "album",
        "albumartist",
        "composer",
        "genre",
        "comment",
        "year",
        "recorded",
        "description",
        "category",
        "subcategory",
        "cat_id",
        "user_category",
        "library",
        "creator",
        "copyright",
        "licence",
        "location",
        "mood",
        "project",
        "scene",
        "take",
        "tape",
        "note",
        "circled",
        "microphone",
        "originator",
        "stamp",
        "windows",
        "content_hash",
        "measured",
    ]
)
_DATES = ("year", "recorded")
# one container has several names: libsndfile calls a WAV of 24 bits or more than two channels "wavex"
_FORMATS = {
    "wav": ("wav", "wavex", "rf64", "bw64"),
    "aif": ("aiff", "aif", "aifc"),
    "aiff": ("aiff", "aif", "aifc"),
    "m4a": ("mov", "m4a"),
    "mp4": ("mov", "mp4"),
    "wma": ("asf", "wma"),
    "mka": ("matroska", "mka"),
    "mkv": ("matroska", "mkv"),
    "webm": ("matroska", "webm"),
    "opus": ("ogg", "opus"),
    "oga": ("ogg", "oga"),
}
# what people call a field, for "did you mean"
_SYNONYMS = {"name": "path", "file": "path", "filename": "path", "folder": "path", "text": "caption", "type": "format",
             "samplerate": "rate", "sample_rate": "rate", "date": "modified", "time": "duration"}  # fmt: skip
DEPTH = 20  # largest nesting of brackets, and of and/or: SQL parsers refuse deep conditions or take minutes for them


@dataclass(frozen=True, slots=True)
class Compare:
    """``field op value``; ``in`` has several values, every other operator one."""

    field: str
    op: str
    values: tuple[str | float, ...]


@dataclass(frozen=True, slots=True)
class All:
    """True if every part is true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    """True if at least one part is true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True if the part is false."""

    part: Filter


Filter: TypeAlias = Compare | All | Any_ | Not
T = TypeVar("T")


def clips_are(clip_ids: Sequence[str]) -> Filter:
    """The filter that matches the entries of these recordings and nothing else."""
    return Compare("clip_id", "in", tuple(clip_ids))


def fold(
    tree: Filter, leaf: Callable[[Compare], T], every: Callable[[list[T]], T], some: Callable[[list[T]], T],
    negate: Callable[[T], T],
) -> T:  # fmt: skip
    """Evaluate a tree from its leaves upward.

    Args:
        tree: The filter.
        leaf: Value of one comparison. It never sees ``!=``, which is evaluated as the negation of ``=``.
        every: Value of an ``and`` from the values of its parts.
        some: Value of an ``or``.
        negate: Value of a ``not``.
    """
    if isinstance(tree, Compare):
        if tree.op == "!=":
            return negate(leaf(Compare(tree.field, "=", tree.values)))
        return leaf(tree)
    if isinstance(tree, Not):
        return negate(fold(tree.part, leaf, every, some, negate))
    parts = [fold(part, leaf, every, some, negate) for part in tree.parts]
    return every(parts) if isinstance(tree, All) else some(parts)


def bounded(tree: Filter, level: int = 0) -> Filter:
    """The same filter without double negations.

    Raises:
        ConfigError: ``and`` and ``or`` are nested more than DEPTH deep.
    """
    negated = False
    while isinstance(tree, Not):  # a loop: a program may build a chain that is longer than Python's call stack
        tree, negated = tree.part, not negated
    if isinstance(tree, All | Any_):
        if level == DEPTH:
            raise ConfigError(f"a filter nests and/or more than {DEPTH} deep. Fix: write it with fewer brackets")
        tree = type(tree)(tuple(bounded(part, level + 1) for part in tree.parts))
    return Not(tree) if negated else tree


# --- what of an entry a filter can see -------------------------------------------------------------------------


def clean_text(value: object) -> str:
    """The form in which texts are compared: case folded, composed (NFC), single spaces, 3.0 as 3."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(normal(normal(unicode_text(str(value))).casefold()).split())


def unicode_text(text: str) -> str:
    """A text that may be the name of a file, whose bytes need not be UTF-8, as Unicode text."""
    if text.isascii():
        return text
    try:
        return readable(text)
    except UnicodeEncodeError:  # half of a surrogate pair, which no file system makes
        return text.encode("utf-8", "replace").decode()


def number_of(metadata: Mapping[str, Any], name: str) -> float | None:
    """A number of the metadata; None if it is missing or not a number."""
    value = metadata.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def terms_of(path: str, metadata: Mapping[str, Any]) -> set[str]:
    """All texts of a recording as ``field=text``: the terms of inverted indexes."""
    terms = {f"path={clean_text(path)}"}
    for key, value in metadata.items():
        if key in NUMBERS or isinstance(value, Mapping):
            continue
        members = value if isinstance(value, list | tuple) else [value]
        terms.update(f"{key.lower()}={clean_text(member)}" for member in members if member is not None)
    return terms


def compare_numbers(value: float | None, compare: Compare) -> bool:
    """Whether a number satisfies a comparison; a missing number (None or NaN) does not."""
    if value is None or value != value:
        return False
    values = [float(v) for v in compare.values]
    first = values[0]
    match compare.op:
        case "<":
            return value < first
        case "<=":
            return value <= first
        case ">":
            return value > first
        case ">=":
            return value >= first
    return value in values


def holds(tree: Filter | None, entry: Any) -> bool:
    """Whether an entry matches a filter. This function defines the meaning; every engine must agree with it."""
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


# --- parsing ---------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<op><=|>=|!=|==|=|<|>|~)|(?P<mark>[(),])"""
    r"""|(?P<word>[^\s"'(),<>=!~]+))"""
)


EXAMPLE_FILTERS = ("duration<3", "channels=2 and tag=rain", 'path~"door slam"', "rate>=48k", "not format=mp3")


class FilterError(ConfigError):
    """A text is not a filter.

    Args:
        message: What is wrong.
        position: Index of the character where it is wrong.
    """

    def __init__(self, message: str, position: int) -> None:
        self.position = position
        super().__init__(message)


class _Reader:
    """Recursive descent over the tokens of one filter text; one method per rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        self.places: list[int] = []  # where each token begins
        self.at = 0
        self.open_brackets = 0
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None:
                self.at = len(self.tokens)
                self.places.append(position + len(text[position:]) - len(text[position:].lstrip()))
                self.fail(f"cannot read {text[position:]!r}")
            kind = str(found.lastgroup)
            self.tokens.append((kind, found.group(kind)))
            self.places.append(found.start(kind))
            position = found.end()
        self.places.append(len(text))

    def fail(self, reason: str) -> NoReturn:
        """Report a fault at the token that is read next, or that was read last."""
        place = self.places[min(self.at, len(self.places) - 1)]
        examples = ", ".join(EXAMPLE_FILTERS)
        raise FilterError(
            f"filter {self.text!r}: {reason} (at character {place + 1}). Expected something like: {examples}; "
            "parts are joined by and, or, not and brackets",
            place,
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
        negated = False
        while self.said("not"):
            negated = not negated
        part = self.bracket() if self.peek() == ("mark", "(") else self.comparison()
        return Not(part) if negated else part

    def bracket(self) -> Filter:
        self.at += 1
        self.open_brackets += 1
        if self.open_brackets > DEPTH:
            self.fail(f"more than {DEPTH} brackets inside each other")
        inner = self.either()
        if self.take()[1] != ")":
            self.fail("a bracket is not closed")
        self.open_brackets -= 1
        return inner

    def comparison(self) -> Filter:
        name = self.take("word")[1].lower()
        name = ALIASES.get(name, name)
        if not re.fullmatch(r"[a-z_][a-z0-9_.-]*", name):
            self.at -= 1
            self.fail(f"{name!r} is no field name")
        if self.said("in"):
            op, values = "in", self.members()
        else:
            op = self.take("op")[1].replace("==", "=")
            values = [self.value()]
        self.at -= 1  # faults of a value are reported at its place
        tree = self.meaning(name, op, values)
        self.at += 1
        return tree

    def meaning(self, name: str, op: str, values: list[str]) -> Filter:
        """One comparison, which is several where a value is a period or a format has several names."""
        if name == "modified_s" and all(map(is_date, values)) and op != "~":
            return self.in_periods(op, values)
        compare = Compare(name, op, tuple(self.typed(name, op, value) for value in values))
        if op not in ("=", "!=", "in"):
            return compare
        texts = [str(value) for value in compare.values]
        if name == "format" and any(text in _FORMATS for text in texts):
            found: Filter = Compare(name, "in", tuple(dict.fromkeys(f for t in texts for f in _FORMATS.get(t, (t,)))))
        elif name in _DATES and all(map(is_date, texts)):  # 2024 means every day of that year
            found = Any_((Compare(name, "in", tuple(texts)), *(Compare(name, "~", (f"{text}-",)) for text in texts)))
        else:
            return compare
        return Not(found) if op == "!=" else found

    def in_periods(self, op: str, values: list[str]) -> Filter:
        name = "modified_s"
        try:
            periods = [read_period(value) for value in values]
        except ValueError:
            self.fail(f"{', '.join(values)} is no date; expected {EXAMPLES[name]}")
        start, end = periods[0]
        if op in _SIZES:  # "<=2024" means before 2025, ">2024" from 2025 on
            return Compare(name, "<" if op[0] == "<" else ">=", (start if op in ("<", ">=") else end,))
        inside = [All((Compare(name, ">=", (first,)), Compare(name, "<", (last,)))) for first, last in periods]
        found = inside[0] if len(inside) == 1 else Any_(tuple(inside))
        return Not(found) if op == "!=" else found

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
                return read_number(name, value)
            except ValueError:
                self.fail(f"{name} is a number, got {value!r}; expected {EXAMPLES[name]}")
        if op in _SIZES:
            near = get_close_matches(name, [*ALIASES, *NUMBERS], 1)
            hint = f"; did you mean {near[0]}?" if near else ";"
            self.fail(f"{name} does not compare by size{hint} numbers are: {', '.join(NUMBERS)}")
        return clean_text(value)


def parse_filter(where: str | Filter | None) -> Filter | None:
    """Parse a filter text. None and a blank text give None; a tree is returned without double negations.

    Raises:
        ConfigError: The text is not a filter; the message quotes it and shows a valid one. Or it is nested too deeply.
    """
    if where is None:
        return None
    if not isinstance(where, str):
        return bounded(where)
    reader = _Reader(where)
    if not reader.tokens:
        return None
    tree = reader.either()
    if reader.peek()[0] != "end":
        reader.fail(f"{reader.peek()[1]!r} after its end")
    return bounded(tree)


# --- fields ----------------------------------------------------------------------------------------------------


def fields_of(tree: Filter) -> set[str]:
    """The fields that a filter compares."""
    return fold(tree, lambda compare: {compare.field}, _union, _union, lambda part: part)


def _union(parts: list[set[str]]) -> set[str]:
    return set().union(*parts)


def unlisted_fields(tree: Filter) -> set[str]:
    """Fields of a filter that only some collections have: those that neither the contract nor indexing defines."""
    return fields_of(tree) - {*IDS, *NUMBERS, *FACTS}


def unknown_field(name: str, known: Collection[str]) -> ConfigError:
    """The error for a field that no recording of a collection has; it names the nearest known one.

    Args:
        name: The field.
        known: Fields of the collection's recordings.
    """
    short = {field: alias for alias, field in reversed(ALIASES.items())}  # the first alias of each
    numbers = [short.get(field, field) for field in NUMBERS]
    hidden = {*NUMBERS, *IDS, "stamp", "content_hash", "windows", "measured"}
    texts = sorted(short.get(field, field) for field in {"path", *known} - hidden)
    near = get_close_matches(name, {*numbers, *texts, *ALIASES}, 1, 0.6)
    meant = _SYNONYMS.get(name) or (near[0] if near else "")
    hint = f"; did you mean {meant}?" if meant else "."
    return ConfigError(
        f"no recording of this collection has a field {name!r}{hint} Numbers: {', '.join(numbers)}. "
        f"Texts: {', '.join(texts)}"
    )
