"""Forms of a query made from a caption by rule: key words, a question, a command.

Captions are sentences, but real queries are not (Freesound queries have 1.8 words on average), so a system is scored
with every form and compared with the plain caption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy.typing as npt

from askaudio.core.types import Json
from askaudio.evaluation.metrics import aggregate, per_query
from askaudio.evaluation.ranks import Ties, ranks_from_embeddings
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.report import show
from askaudio.evaluation.tables import render
from askaudio.evaluation.words import content_words


def key_words(text: str) -> str:
    """Content words in order, each once: "A dog barks, then a bell rings" -> "dog barks bell rings"."""
    return " ".join(dict.fromkeys(content_words(text))) or text


def question(text: str) -> str:
    """A question: "A dog barks" -> "Do you have a recording of a dog barks?"."""
    return f"Do you have a recording of {_inner(text)}?"


def command(text: str) -> str:
    """A command: "A dog barks" -> "Find me the sound of this: a dog barks."."""
    return f"Find me the sound of this: {_inner(text)}."


_METRICS = ("R@1", "R@10", "mAP@10", "MedR")
FORMS: dict[str, Callable[[str], str]] = {"key words": key_words, "question": question, "command": command}


def _inner(text: str) -> str:
    plain = text.strip().rstrip(".!?").strip()
    # an acronym or a name keeps its capital: only a capital before a small letter or alone is the sentence's
    return plain[:1].lower() + plain[1:] if len(plain) < 2 or not plain[1].isupper() else plain


@dataclass(frozen=True)
class FormReport:
    """Text-to-audio metrics of each form: ``{form: {metric: value}}``, the plain caption first."""

    forms: Mapping[str, Mapping[str, float]]

    def table(self, style: str = "table") -> str:
        """One row a form, as ``table``, ``markdown`` or ``latex``."""
        metrics = list(next(iter(self.forms.values())))
        rows = [[form, *(show(values[m], m) for m in metrics)] for form, values in self.forms.items()]
        return render(["query form", *(f"t2a {m}" for m in metrics)], rows, style)

    def to_json(self) -> Json:
        """All numbers, shares not percent."""
        return {form: dict(values) for form, values in self.forms.items()}


def score_forms(
    audio: npt.ArrayLike,
    texts: Mapping[str, npt.ArrayLike],
    relevance: Relevance,
    ties: Ties = "pessimistic",
) -> FormReport:
    """Score the same queries in several forms.

    Args:
        audio: (N, D) clips, in the order of the relevance's gallery.
        texts: Form -> (Q, D) embeddings of the queries in that form.
        relevance: Text-to-audio relevance.
        ties: Tie rule.
    """
    forms = {}
    for form, rows in texts.items():
        ranks = ranks_from_embeddings(rows, audio, relevance)
        forms[form] = {m: aggregate(per_query(ranks, m, ties), m) for m in _METRICS}
    return FormReport(forms)
