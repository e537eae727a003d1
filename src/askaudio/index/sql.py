"""Filters as SQL conditions for LanceDB and for PostgreSQL; no value becomes part of a text unquoted.

SQL has three truth values, filters have two: ``coalesce(..., false)`` turns NULL (a missing number) into false before
``NOT`` can see it.
"""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from typing import Any, TypeAlias

from askaudio.index.accept import SURROGATE
from askaudio.index.filters import IDS, NUMBERS, All, Compare, Filter, Not, fold

Sql: TypeAlias = tuple[str, list[Any]]


def lance_sql(tree: Filter, absent: Collection[str] = ()) -> str:
    """A filter as a LanceDB condition that is never NULL; LanceDB has no parameters, so every value is quoted.

    Its parser needs exponential time for nested ``NOT (``. So every ``NOT`` is moved to the comparisons (De Morgan),
    and only an ``OR`` inside of an ``AND`` gets brackets.

    Args:
        tree: The filter.
        absent: Columns that the table does not have: their numbers are missing in every row.
    """
    return _lance(tree, absent, negated=False, inside_and=False)


def _lance(tree: Filter, absent: Collection[str], *, negated: bool, inside_and: bool) -> str:
    if isinstance(tree, Not):
        return _lance(tree.part, absent, negated=not negated, inside_and=inside_and)
    if isinstance(tree, Compare):
        leaf = "(false)" if tree.field in absent else _lance_leaf(tree)
        return f"NOT {leaf}" if negated != (tree.op == "!=") else leaf
    is_and = isinstance(tree, All) != negated
    parts = [_lance(part, absent, negated=negated, inside_and=is_and) for part in tree.parts]
    text = (" AND " if is_and else " OR ").join(parts)
    return f"({text})" if inside_and and not is_and else text


def _lance_leaf(compare: Compare) -> str:
    """One comparison, with ``!=`` as ``=``, as a function call or in brackets, so that NOT can precede it."""
    name, op = compare.field, "=" if compare.op == "!=" else compare.op
    if name in NUMBERS:
        values = ", ".join(_number(float(v)) for v in compare.values)
        return f"coalesce({name} IN ({values}), false)" if op == "in" else f"coalesce({name} {op} {values}, false)"
    texts = _storable(compare)
    if not texts:
        return "(false)"
    if name in IDS:
        return f"({name} IN ({', '.join(map(_quoted, texts))}))"
    if op == "~":
        # terms are joined into one text of lines, because this dialect has no test over the members of a list
        pattern = f"(^|\n){_escaped(name)}=[^\n]*{_escaped(texts[0])}"
        return f"regexp_like(array_to_string(terms, '\n'), {_quoted(pattern)})"
    return "(" + " OR ".join(f"array_has(terms, {_quoted(f'{name}={text}')})" for text in texts) + ")"


def _storable(compare: Compare) -> list[str]:
    """The values that an entry can have: a store accepts neither NUL nor surrogates, so they match nothing."""
    return [text for text in map(str, compare.values) if "\0" not in text and not SURROGATE.search(text)]


def _number(value: float) -> str:
    return repr(value) if isfinite(value) else f"CAST('{value}' AS DOUBLE)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _escaped(text: str) -> str:
    """A regular expression that matches exactly this text."""
    return "".join(c if c.isalnum() or c in " =/_" else f"\\{c}" if c in "\\^[]-&~" else f"[{c}]" for c in text)


def postgres_sql(tree: Filter, absent: Collection[str] = ()) -> Sql:
    """A filter as a PostgreSQL condition that is never NULL, and its parameters; the condition contains no values.

    Args:
        tree: The filter.
        absent: Columns that the table does not have: their numbers are missing in every row.
    """

    def leaf(compare: Compare) -> Sql:
        name, values = compare.field, list(compare.values)
        if name in absent or (name not in NUMBERS and not (values := list(_storable(compare)))):
            return "false", []
        if name in IDS:
            return f"{name} = ANY(%s)", [values]
        if name in NUMBERS and compare.op in ("=", "in"):
            return f"coalesce({name} = ANY(%s), false)", [[float(v) for v in values]]
        if name in NUMBERS:
            return f"coalesce({name} {compare.op} %s, false)", [float(values[0])]
        if compare.op == "~":
            inside = "SELECT 1 FROM unnest(terms) t WHERE starts_with(t, %s) AND strpos(substr(t, %s), %s) > 0"
            # strpos finds an empty text at place 1, as Python does
            return f"EXISTS ({inside})", [f"{name}=", len(name) + 2, str(values[0])]
        return "terms && %s::text[]", [[f"{name}={value}" for value in values]]

    def join(word: str) -> Any:
        def joined(parts: list[Sql]) -> Sql:
            return f"({f' {word} '.join(p[0] for p in parts)})", [v for p in parts for v in p[1]]

        return joined

    return fold(tree, leaf, join("AND"), join("OR"), lambda part: (f"(NOT {part[0]})", part[1]))
