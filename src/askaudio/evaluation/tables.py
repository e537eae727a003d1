"""Rows of text as a plain, Markdown or LaTeX table; first column left, the others right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from askaudio.core.errors import ConfigError

Format = Literal["table", "markdown", "latex"]
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\^{}"}


_NOTE_MARKS = {"table": "\n", "markdown": "\n- ", "latex": "\n% "}


def render(
    header: Sequence[str], rows: Sequence[Sequence[str]], style: str = "table", notes: Sequence[str] = ()
) -> str:
    """Format rows as a table.

    Args:
        header: Column titles.
        rows: Cells, one per column in each row.
        style: ``table`` (plain text), ``markdown`` or ``latex``.
        notes: Lines below the table: plain, as a list, or as LaTeX comments.

    Raises:
        ConfigError: Unknown style.
    """
    if style not in _NOTE_MARKS:
        raise ConfigError(f"a table is printed as table, markdown or latex, got {style!r}")
    table = _latex(header, rows) if style == "latex" else _plain(header, rows, style)
    mark = _NOTE_MARKS[style]
    return f"{table}\n{mark}{mark.join(notes)}" if notes else table


def _plain(header: Sequence[str], rows: Sequence[Sequence[str]], style: str) -> str:
    if style == "markdown":
        header = [_pipe(c) for c in header]
        rows = [[_pipe(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [_line(row, widths, style) for row in [header, *rows]]
    rule = "  ".join("-" * w for w in widths)
    if style == "markdown":
        rule = "| " + " | ".join("-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def _line(row: Sequence[str], widths: list[int], style: str) -> str:
    cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
    return "| " + " | ".join(cells) + " |" if style == "markdown" else "  ".join(cells).rstrip()


def _pipe(cell: str) -> str:
    return cell.replace("|", "\\|")


def _latex(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = [" & ".join("".join(_LATEX.get(ch, ch) for ch in cell) for cell in row) + r" \\" for row in [header, *rows]]
    columns = "l" + "r" * (len(header) - 1)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", body[0], r"\midrule", *body[1:]]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])
