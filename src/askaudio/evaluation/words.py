"""Content words of captions: lower-case words without stop words. No language model, no downloads."""

from __future__ import annotations

import re

# Articles, pronouns, prepositions, auxiliaries, and words of captions that refer to sound as such or to time.
_STOP = (
    "a about above after again all along also am an and another any are around as at away back be because been before "
    "behind being below beneath between beyond both but by can could did do does doing done down during each either "
    "else even every few for from get gets getting had has have having he her here hers him his how i if in inside "
    "into is it its itself just less like many may me might more most much my near nearby no nor not now of off on "
    "once one ones only onto or other others our out outside over own per she so some someone something somewhere "
    "soon such than that the their theirs them then there these they this those though through throughout to together "
    "too toward towards two under until up upon us very via was we were what when where which while who whom whose "
    "will with within without would you your background begin begins beginning continue continues continuing "
    "continuously eventually finally first followed following follows foreground heard hear hears hearing last later "
    "next noise noises occasional occasionally occur occurring occurs playing plays recording second several sound "
    "sounding sounds start started starting starts stop stopping stops suddenly thing things third time times twice "
    "various"
)
STOP_WORDS = frozenset(_STOP.split())
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def words(text: str) -> list[str]:
    """Lower-case words in order; an apostrophe stays inside a word."""
    return _WORD.findall(text.lower())


def content_words(text: str) -> list[str]:
    """Words that are not stop words, in order and with repeats; a possessive 's is removed."""
    plain = (w.removesuffix("'s") for w in words(text))
    return [w for w in plain if w not in STOP_WORDS and len(w) > 1]
