"""Filters as SQL conditions for LanceDB and for PostgreSQL; no value becomes part of a text unquoted.

SQL has three truth values, filters have two: ``coalesce(..., false)`` turns NULL (a missing number) into false before
``NOT`` can see it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from askaudio.index.filters import IDS, NUMBERS, Compare, Filter, fold

Sql: TypeAlias = tuple[str, list[Any]]


def lance_sql(tree: Filter) -> str:
    """A filter as a LanceDB condition that is never NULL; LanceDB has no parameters, so every value is quoted."""

    def leaf(compare: Compare) -> str:
        name, values = compare.field, compare.values
        if name in IDS:
            return f"{name} IN ({', '.join(_quoted(str(v)) for v in values)})"
        if name in NUMBERS:
            tests = (f"{name} {'=' if compare.op == 'in' else compare.op} {float(v)!r}" for v in values)
            return f"coalesce({' OR '.join(tests)}, false)"
        if compare.op == "~":
            # terms are joined into one text of lines, because this dialect has no test over the members of a list
            pattern = f"(^|\n){_escaped(name)}=[^\n]*{_escaped(str(values[0]))}"
            return f"regexp_like(array_to_string(terms, '\n'), {_quoted(pattern)})"
        return "(" + " OR ".join(f"array_has(terms, {_quoted(f'{name}={v}')})" for v in values) + ")"

    return fold(
        tree, leaf, lambda xs: f"({' AND '.join(xs)})", lambda xs: f"({' OR '.join(xs)})", lambda x: f"(NOT {x})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _escaped(text: str) -> str:
    """A regular expression that matches exactly this text."""
    return "".join(c if c.isalnum() or c in " =/_" else f"\\{c}" if c in "\\^[]-&~" else f"[{c}]" for c in text)


def postgres_sql(tree: Filter) -> Sql:
    """A filter as a PostgreSQL condition that is never NULL, and its parameters; the condition contains no values."""

    def leaf(compare: Compare) -> Sql:
        name, values = compare.field, list(compare.values)
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
