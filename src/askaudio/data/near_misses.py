"""Near misses of any English caption: texts that differ from it in one fact and are therefore wrong for its sound.

A caption does not say everything, so a text made by rule may by chance be true of the sound: the other order of sounds
that overlap, a second sound that the caption left out, "a person speaks" for "a man speaks". Such texts are marked
(``may_be_true``); training and evaluation leave them out. Everything depends on caption, vocabulary and seed alone.

Source: the kinds follow CompA (2310.08753: order and attribute), T-CLAP (2404.17806: time) and UIQ (2604.18360:
negation). Differs: no language model, a rule for texts that may be true, and words are kept: where possible the
near miss has the words of the caption in another order, so that no single word shows which of the two is wrong.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.text import parse_json, read_text
from askaudio.data.caption_words import (
    FORMS,
    NO_NOUN,
    TOKEN,
    audible,
    capital,
    form_of,
    groups_of,
    has_own_subject,
    lower_first,
    negated,
    sound_groups,
    standalone,
    stems_of,
    with_article,
    words_of,
)
from askaudio.data.manifest import Clip, Manifest
from askaudio.data.phrases import Phrase, split_phrases
from askaudio.data.sound_words import (
    AMBIENT,
    CALL_OF,
    EXCHANGEABLE,
    GENERIC,
    GERUNDS,
    KIN,
    NUMBERS,
    OPPOSITES,
    OTHER_PRONOUN,
    OTHER_SENSE,
    SINGULAR,
    SOURCES,
    THIRD_PERSON,
    TIMES,
    UNCOUNTED,
    VERBS,
    VOICES,
    gerund,
    plural,
)
from askaudio.evaluation.words import content_words
from askaudio.index.stems import stem

Kind = Literal["order", "attribute", "count", "negation", "label"]
KINDS: tuple[Kind, ...] = ("order", "attribute", "count", "negation", "label")


class NearMiss(NamedTuple):
    """A text that is almost right.

    Attributes:
        text: The changed caption.
        kind: What was changed; ``label``: one sound was exchanged for another.
        may_be_true: The text may be true of the sound too; leave it out of training and evaluation.
    """

    text: str
    kind: Kind
    may_be_true: bool


@dataclass(frozen=True)
class Vocabulary:
    """What may take the place of a sound: phrases of other captions, and sibling classes of an ontology.

    Attributes:
        phrases: Form of a phrase (``FORMS``) -> phrases of that form.
        siblings: Name of a class in lower case -> names of its sibling classes.
    """

    phrases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    siblings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, captions: Iterable[str], ontology: Path | str | None = None) -> Vocabulary:
        """From the captions of a set.

        Args:
            captions: Captions, for example those of the training split.
            ontology: A file of the form of AudioSet's ``ontology.json``; its classes are used as well.

        Raises:
            DataError: The ontology cannot be read.
        """
        found: dict[str, dict[str, None]] = {form: {} for form in FORMS}
        for caption in captions:
            for phrase in split_phrases(caption):
                text = lower_first(phrase.text)
                if 1 < len(text.split()) <= 8 and standalone(text) and not negated(text) and audible(text):
                    found[form_of(text)][text] = None
        siblings = {} if ontology is None else read_siblings(ontology)
        return cls({form: tuple(texts) for form, texts in found.items()}, siblings)


def near_misses(
    caption: str,
    vocabulary: Vocabulary | None = None,
    *,
    kinds: Collection[str] = KINDS,
    seed: int = 0,
) -> list[NearMiss]:
    """Near misses of one caption, at most one of each kind, in the order of ``KINDS``.

    Args:
        caption: An English caption.
        vocabulary: What may take the place of a sound; None: the built-in table alone.
        kinds: Kinds to make.
        seed: Another seed changes another word, where there are several.

    Raises:
        ConfigError: An unknown kind.

    Example:
        >>> vocabulary = Vocabulary.of(["A bell rings", "Rain falls on a roof"])
        >>> for miss in near_misses("A dog barks, then a car passes", vocabulary):
        ...     print(f"{miss.kind:<10}{miss.text}")
        order     A car passes, then a dog barks
        count     Three dogs bark, then a car passes
        negation  A dog barks, then no car passes
        label     A dog barks, then a bell rings
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ConfigError(f"unknown kind of near miss {unknown[0]!r}; expected some of {', '.join(KINDS)}")
    phrases = split_phrases(caption)
    made: list[NearMiss] = []
    for kind in KINDS:
        if kind in kinds and phrases:
            draw = random.Random(f"{seed}|{kind}|{caption}")  # a string is hashed the same way in every process
            found = _RULES[kind](caption, phrases, vocabulary or Vocabulary(), draw)
            if found is not None and found[0].lower() != caption.lower():
                made.append(NearMiss(found[0], kind, found[1]))
    return made


def read_siblings(path: Path | str) -> dict[str, tuple[str, ...]]:
    """Class name in lower case -> names of the classes that have the same parent.

    Args:
        path: JSON list of ``{"id", "name", "child_ids"}``, as AudioSet's ``ontology.json``.

    Raises:
        DataError: Not such a file.
    """
    rows = parse_json(read_text(path), str(path))
    try:
        names = {row["id"]: re.split(r"[,(]", str(row["name"]))[0].strip().lower() for row in rows}
        families = [[names[child] for child in row["child_ids"] if child in names] for row in rows]
    except (TypeError, KeyError) as error:
        raise DataError(
            f"{path}: expected a list of classes with id, name and child_ids, like AudioSet's ontology.json ({error!r})"
        ) from error
    found: dict[str, list[str]] = {}
    for family in families:
        for name in family:
            found.setdefault(name, []).extend(other for other in family if other != name)
    return {name: tuple(others) for name, others in found.items()}


def given_near_misses(clip: Clip) -> dict[str, list[tuple[str, str]]]:
    """Caption id -> (kind, text) pairs of the manifest, whose field ``near_misses`` has a list for each caption.

    Raises:
        DataError: The field has another form.
    """
    given: Any = clip.extra.get("near_misses")
    if not given:
        return {}
    try:
        lists = [[(str(kind), str(text)) for kind, text in found] for found in given]
        return {c.caption_id: found for c, found in zip(clip.captions, lists, strict=True)}
    except (TypeError, ValueError) as error:
        raise DataError(
            f"clip {clip.clip_id!r}: near_misses must hold for each caption a list of [kind, text], got {given!r:.80}"
        ) from error


def sure_near_misses(
    manifest: Manifest, kinds: Collection[str] = KINDS, ontology: Path | str | None = None, seed: int = 0
) -> dict[str, list[tuple[str, str]]]:
    """Near misses of every caption of a set that are certainly wrong: its own (``near_misses``) or, without, by rule.

    Args:
        manifest: Captioned clips; their captions are the vocabulary.
        kinds: Kinds to take.
        ontology: See ``Vocabulary.of``.
        seed: Of ``near_misses``.

    Returns:
        Caption id -> (kind, text) pairs, at most one of each kind where they are made by rule.

    Raises:
        DataError: A malformed field ``near_misses``, or an unreadable ontology.
    """
    vocabulary = Vocabulary.of((c.text for clip in manifest for c in clip.captions), ontology)
    by_text: dict[str, list[tuple[str, str]]] = {}
    found: dict[str, list[tuple[str, str]]] = {}
    for clip in manifest:
        given, own = given_near_misses(clip), {c.text.lower() for c in clip.captions}
        for caption in clip.captions:
            if caption.text not in by_text:
                made = near_misses(caption.text, vocabulary, kinds=kinds, seed=seed)
                by_text[caption.text] = [(m.kind, m.text) for m in made if not m.may_be_true]
            pairs = given.get(caption.caption_id) or by_text[caption.text]
            # what another caption of the clip says is true
            found[caption.caption_id] = [(k, t) for k, t in pairs if k in kinds and t.lower() not in own]
    return found


# --- order ------------------------------------------------------------------------------------------------------

_Found = tuple[str, bool] | None
_REPEATED = re.compile(
    r"\b(?:again|repeat\w*|back and forth|on and off|over and over|several times|many times|multiple times|alternat\w+|"
    r"intermittent\w*|occasional\w*|continu\w+|constant\w*|steady|steadily|throughout|ongoing|periodic\w*|background|"
    r"sporadic\w*|sometimes|every|in between|same time|simultaneous\w*)\b",
    re.I,
)
_FLIPPED = {"before": "after", "after": "before"}


def _order(caption: str, phrases: tuple[Phrase, ...], _: Vocabulary, draw: random.Random) -> _Found:
    """Exchange the sounds on both sides of a word that tells an order, or turn "before" into "after"."""
    turns = [k for k, phrase in enumerate(phrases) if phrase.relation in ("then", "after")]
    bounds = [0, *turns, len(phrases)]
    parts = [(phrases[a].start, phrases[b - 1].stop) for a, b in pairwise(bounds)]
    texts = [caption[a:b] for a, b in parts]
    whole = [standalone(text) for text in texts] + [True]
    places = [k for k in range(len(turns)) if all(whole[k : k + 3])]  # a part without a subject has that before it
    if not places:
        return None
    k = draw.choice(places)
    (a, b), (c, d) = parts[k], parts[k + 1]
    between = caption[b:c]
    unsure = bool(sound_groups(texts[k]) & sound_groups(texts[k + 1])) or any(map(_REPEATED.search, texts[k : k + 2]))
    both = sound_groups(texts[k]) | sound_groups(texts[k + 1])
    unsure = unsure or any(both & sound_groups(other) for other in texts[:k] + texts[k + 2 :])
    word = between.strip(" ,").lower()
    if word in _FLIPPED and draw.random() < 0.5:
        at = b + between.lower().index(word)
        return caption[:at] + _FLIPPED[word] + caption[at + len(word) :], unsure
    first, second = capital(texts[k + 1], like=texts[k]), lower_first(texts[k])
    return caption[:a] + first + between + second + caption[d:], unsure


# --- attribute --------------------------------------------------------------------------------------------------

_HEDGED = re.compile(
    r"\b(?:var(?:y|ies|ying|ious)|differ\w+|chang\w+|sometimes|both|either|or|mix(?:ed|ture)|gradual\w*|becom\w+|"
    r"gets|getting|grow\w*|fad\w+|multiple|then|some)\b",
    re.I,
)
_PLACE = re.compile(
    r"\b(?:in the (?:far )?distance|far away|nearby(?=\s*(?:[,.;]|$|and\b|while\b|as\b|with\b|then\b|followed\b)))",
    re.I,
)
_CROWD = {"people", "crowd", "audience", "group", "others", "couple", "family", "kids", "children", "persons", "voices"}
_EITHER_ALIKE = {"man", "men", "woman", "women", "male", "female", "males", "females", "boy", "girl", "boys", "girls"}


def _attribute(caption: str, phrases: tuple[Phrase, ...], _: Vocabulary, draw: random.Random) -> _Found:
    """Turn one attribute into its opposite."""
    tokens = list(TOKEN.finditer(caption))
    words = [t[0].lower() for t in tokens]
    places = [k for k, word in enumerate(words) if word in OPPOSITES and not _other_sense(words, k)]
    far = list(_PLACE.finditer(caption))
    adverbs = {m.start() for m in far}
    # without "opens and closes", and "a bell rings nearby", which becomes "in the distance"
    places = [k for k in places if OPPOSITES[words[k]][0] not in words and tokens[k].start() not in adverbs]
    if far and (not places or draw.random() < 0.5):
        found = draw.choice(far)
        new = "nearby" if found[0].lower() != "nearby" else "in the distance"
        return caption[: found.start()] + new + caption[found.end() :], len(far) > 1 or "background" in words
    if not places:
        return None
    sure = [k for k in places if not OPPOSITES[words[k]][1]]
    k = draw.choice(sure or places)
    other, weak = OPPOSITES[words[k]]
    inside = next((p.text for p in phrases if p.start <= tokens[k].start() < p.stop), caption)
    unsure = weak or bool(_HEDGED.search(inside)) or _mixed(words, words[k])
    new = with_article(caption, tokens[k].start(), tokens[k].end(), capital(other, like=tokens[k][0]))
    return _with_pronouns(new, words[k], words), unsure


def _mixed(words: Sequence[str], word: str) -> bool:
    """Whether people of both sexes, or a crowd, may be heard: then "a man" for "a woman" may be true."""
    return word in _EITHER_ALIKE and (bool(_CROWD & set(words)) or len(_EITHER_ALIKE & set(words)) > 1)


def _other_sense(words: Sequence[str], k: int) -> bool:
    """Whether the word has another sense here, for example "light" in "light switch"."""
    pairs = zip(words[max(0, k - 1) : k + 1], words[max(0, k - 1) + 1 : k + 2], strict=False)
    return any(pair in OTHER_SENSE for pair in pairs)


def _with_pronouns(text: str, word: str, words: Sequence[str]) -> str:
    """Change the pronouns of a person whose sex was changed."""
    changes = OTHER_PRONOUN.get({"male": "man", "female": "woman"}.get(word, word), {})
    if not set(changes) & set(words):
        return text
    return TOKEN.sub(lambda m: capital(changes.get(m[0].lower(), m[0]), like=m[0]), text)


# --- count ------------------------------------------------------------------------------------------------------

_TIMES = re.compile(
    r"\b(?:(?P<adverb>(?<!at )once|twice|thrice)(?!\s+(?:again|in|a|more|every|the|it|they))"
    r"|(?P<times>two|three|four|five|six|seven|eight|nine|ten)(?=\s+times\b))",
    re.I,
)
_NUMBER = re.compile(r"\b(?<!\bor )(?P<number>two|three|four|five|six|seven|eight|nine|ten|[2-9])\s+(?=[a-z])", re.I)
_NOT_COUNTED = re.compile(
    r"(?:and|or|to|more|times|way|stroke|seconds?|minutes?|hours?|different|types?|kinds?|separate|sets?|other|of|by|"
    r"in|at|dimensional|handed|note|tone|speed)\b",
    re.I,
)
_ABOUT = re.compile(
    r"\b(?:about|around|approximately|at least|or (?:two|three|four|more|so)|several|multiple|maybe|few|again|"
    r"repeat\w*|more|another|other|others|many|some|various)\b",
    re.I,
)
_SOURCE = "|".join(sorted(SOURCES))
_ONE = re.compile(
    rf"\b(?P<article>an?|one)\s+(?P<noun>(?:[\w-]+\s+){{0,2}}?(?P<head>{_SOURCE}))"
    r"(?P<rest>\s+(?:(?:is|was|has)\b|(?:\w+ly\s+)?(?P<verb>\w+s|\w+ing|\w+ed)\b|(?:in|on|at|and|while|with|as|then|"
    r"followed|from|by|before|after|nearby|over|near)\b)|\s*[,.;]|\s*$)",
    re.I,
)


def _count(caption: str, phrases: tuple[Phrase, ...], _: Vocabulary, draw: random.Random) -> _Found:
    """Change a number; where there is none, make several of one source."""
    found: list[tuple[int, int, str, bool]] = []
    for match in _TIMES.finditer(caption):
        word = match[0].lower()
        other = _other_number(TIMES.get(word) or _value(word), draw)
        times = "once" if other == 1 else f"{_name(other)} times" if match["adverb"] or other == 1 else _name(other)
        stop = match.end() + (len(caption[match.end() :].split("times")[0]) + 5 if match["times"] and other == 1 else 0)
        found.append((match.start(), stop, "twice" if match["adverb"] and other == 2 else times, _value(word) > 4))
    for match in _NUMBER.finditer(caption):
        after = caption[match.end() :]
        if not _NOT_COUNTED.match(after):
            value = _value(match["number"].lower())
            other = _other_number(value, draw, least=2)
            name = str(other) if match["number"].isdigit() else _name(other)
            found.append((match.start(), match.end("number"), name, value > 4))
    if not found:
        return _several(caption, phrases, draw)
    start, stop, new, many = draw.choice(found)
    inside = next((p.text for p in phrases if p.start <= start < p.stop), caption)
    return caption[:start] + capital(new, like=caption[start:stop]) + caption[stop:], many or bool(
        _ABOUT.search(inside)
    )


_SECOND_VERB = re.compile(r"^((?:\s+\w+ly)?\s+and\s+)(\w+)")  # "a dog barks and whines"


def _several(caption: str, phrases: tuple[Phrase, ...], draw: random.Random) -> _Found:
    """Make several of one source: "a dog barks" -> "three dogs bark"."""
    starts = {phrase.start for phrase in phrases}
    found = [match for match in _ONE.finditer(caption) if match.start() in starts and _one_source(match)]
    if not found:
        return None
    match = draw.choice(found)
    number = _name(draw.choice((3, 4, 5)))
    words = match["noun"].split()
    noun = " ".join([*words[:-1], plural(words[-1].lower())])
    rest = match["rest"]
    for singular, several in (("is", "are"), ("was", "were"), ("has", "have")):
        rest = re.sub(rf"^(\s+){singular}\b", rf"\g<1>{several}", rest)
    verb = match["verb"]
    if verb and verb.lower() in THIRD_PERSON:
        rest = rest[: -len(verb)] + THIRD_PERSON[verb.lower()]
    head = stem(match["head"].lower())
    others = caption[: match.start()] + " " + caption[match.end() :]
    unsure = bool(_ABOUT.search(caption)) or head in {stem(w) for w in content_words(others)}
    unsure = unsure or not _countable(match)
    new = capital(number, like=match["article"])
    stop = next(phrase.stop for phrase in phrases if phrase.start == match.start())
    tail = _SECOND_VERB.sub(lambda m: m[1] + THIRD_PERSON.get(m[2], m[2]), caption[match.end() : stop])
    return caption[: match.start()] + f"{new} {noun}{rest}" + tail + caption[max(stop, match.end()) :], unsure


def _countable(match: re.Match[str]) -> bool:
    """Whether several sources sound different from one: not so for what lasts, such as engines."""
    return stem(match["head"].lower()) not in AMBIENT and match["head"].lower() not in UNCOUNTED


def _one_source(match: re.Match[str]) -> bool:
    """Whether the words between the article and the source belong to it, and the word after it is a verb."""
    modifiers = [w.lower() for w in match["noun"].split()[:-1]]
    if any(w in THIRD_PERSON or w in ("of", "and", "or", "in", "on", "with", "is", "as", "by") for w in modifiers):
        return False
    if any(w in ("first", "second", "third", "single", "lone", "last", "other") for w in modifiers):
        return False
    verb = (match["verb"] or "").lower()
    return not verb or verb in THIRD_PERSON or verb in GERUNDS or verb.endswith("ed")


def _value(word: str) -> int:
    return int(word) if word.isdigit() else TIMES.get(word) or NUMBERS.index(word) + 1


def _name(value: int) -> str:
    return NUMBERS[value - 1] if value <= len(NUMBERS) else str(value)


def _other_number(value: int, draw: random.Random, least: int = 1) -> int:
    """A number that sounds clearly different: one more or less is not heard in a longer series."""
    if value > 4:
        return value // 2 if draw.random() < 0.5 else min(2 * value, 12)
    return draw.choice([n for n in range(least, 6) if n != value and (abs(n - value) > 1 or value < 4)])


# --- negation ---------------------------------------------------------------------------------------------------

_DETERMINER = re.compile(
    r"(?:an?|the|some|several|many|multiple|various|a few|a couple of|a lot of|lots of|two|three|four|five|another|"
    r"different|numerous|one)\s+(?:(?:different|types? of|kinds? of|sorts? of|(?:large |small |huge )?(?:groups?|"
    r"crowds?|sets?|series|slew|number|amounts?|lots?|flock|herd|pair|variety|volume) of)\s+)?",
    re.I,
)


def _negation(caption: str, phrases: tuple[Phrase, ...], _: Vocabulary, draw: random.Random) -> _Found:
    """Say of one sound that it is not there: "with a bell ringing" -> "without any bell ringing"."""
    places = [k for k in range(len(phrases)) if _deniable(phrases[k].text) and has_own_subject(caption, phrases, k)]
    places = [k for k in places if not re.search(r"\b(?:before|after|until|to)\s+$", caption[: phrases[k].start], re.I)]
    if not places:
        return None
    later = [k for k in places if k] or places  # "birds sing but no dog barks" rather than "no birds sing but ..."
    k = draw.choice(later)
    phrase = phrases[k]
    bare = lower_first(_bare(phrase.text))
    before, after = caption[: phrase.start], caption[phrase.stop :]
    unsure = negated(caption) or not (stems_of(bare) - GENERIC)
    unsure = unsure or any(stems_of(bare) & stems_of(other.text) - GENERIC for j, other in enumerate(phrases) if j != k)
    if re.search(r"\bwith\s+$", before, re.I):
        at = before.lower().rindex("with")
        text = before[:at] + capital("without", like=before[at:]) + before[at + 4 :] + "any " + bare + after
    else:
        text = before + capital("no ", like=phrase.text) + bare + after
    return text, unsure


def _deniable(text: str) -> bool:
    """Whether "no" before the phrase makes a sentence of it: the phrase begins with a noun."""
    rest = _bare(text)
    words = [w.lower() for w in TOKEN.findall(rest)]
    if not words or NO_NOUN.match(rest) or words[0] in ("someone", "something", "somebody", "people's", "there"):
        return False
    return rest != text or (words[0] not in THIRD_PERSON and not words[0].endswith("ly"))


def _bare(text: str) -> str:
    """The phrase without the article or number before its noun."""
    found = _DETERMINER.match(text)
    return text[found.end() :] if found else text


# --- label ------------------------------------------------------------------------------------------------------

TRIES = 40  # phrases drawn until one names a sound that the caption cannot mean


def _label(caption: str, phrases: tuple[Phrase, ...], vocabulary: Vocabulary, draw: random.Random) -> _Found:
    """Exchange one sound: its source or its call by that of another kind, a class by a sibling, or the whole phrase."""
    places = [k for k, p in enumerate(phrases) if has_own_subject(caption, phrases, k) and stems_of(p.text) - GENERIC]
    for k in draw.sample(places, len(places)):
        for new in _other_sounds(phrases[k].text, vocabulary, draw):
            if not _may_be_there(new, phrases[k], caption):
                text = capital(new, like=phrases[k].text)
                return caption[: phrases[k].start] + text + caption[phrases[k].stop :], False
    return None


def _other_sounds(text: str, vocabulary: Vocabulary, draw: random.Random) -> Iterator[str]:
    """Texts of other sounds in the place of a phrase; which way comes first is drawn."""
    ways = [_other_call(text, draw), _sibling(text, vocabulary, draw)]
    draw.shuffle(ways)
    options = vocabulary.phrases.get(form_of(text), ())
    ways.insert(draw.choice((0, len(ways))), (draw.choice(options) for _ in range(TRIES if options else 0)))
    for way in ways:
        yield from way


def _may_be_there(new: str, phrase: Phrase, caption: str) -> bool:
    """Whether the new sound may be in the recording: it is steady, or another word for a sound of the caption."""
    stems = stems_of(new)
    others = caption[: phrase.start] + " " + caption[phrase.stop :]
    own = sound_groups(phrase.text)
    shared = _source_stems(new) == _source_stems(phrase.text) if _source_stems(new) else False
    if shared or not stems - GENERIC:  # the same source with another call is judged by its call alone
        return (
            groups_of(stems - _source_stems(new)) & groups_of(stems_of(caption) - _source_stems(phrase.text)) != set()
        )
    known = stems & KIN.keys()
    return bool(known and known <= AMBIENT | GENERIC) or bool(sound_groups(new) & (own | sound_groups(others)))


def _source_stems(text: str) -> set[str]:
    return {stem(w) for w in words_of(text) if w in SOURCES or w in SINGULAR}


def _other_call(text: str, draw: random.Random) -> Iterator[str]:
    """The phrase with another source ("a dog barks" -> "a cat meows"), or with another call of the same voice."""
    words = words_of(text)
    nouns = [w for w in words if w in CALL_OF or SINGULAR.get(w) in CALL_OF]
    calls = [w for w in words if _base(w) is not None]
    for noun in nouns[:1]:
        one = SINGULAR.get(noun, noun)
        call = next((w for w in calls if _base(w) == CALL_OF[one]), None)
        if call is not None:
            for other in draw.sample(sorted(set(CALL_OF) - {one}), len(CALL_OF) - 1):
                new_noun = plural(other) if noun != one else other
                yield _replaced(_replaced(text, call, _like(call, CALL_OF[other])), noun, new_noun)
    for call in calls[:1]:
        if (base := _base(call)) in VOICES:
            for other in draw.sample(sorted(set(VOICES) - {base}), len(VOICES) - 1):
                yield _replaced(text, call, _like(call, other))
    for group in EXCHANGEABLE:
        for noun in [w for w in words if SINGULAR.get(w, w) in group][:1]:
            for other in draw.sample(sorted(set(group) - {SINGULAR.get(noun, noun)}), len(group) - 1):
                yield _replaced(text, noun, other if noun in group else plural(other))


def _sibling(text: str, vocabulary: Vocabulary, draw: random.Random) -> Iterator[str]:
    """The phrase with the name of a class exchanged for a sibling's; the longest name first."""
    low = text.lower()
    names = sorted(
        (n for n in vocabulary.siblings if re.search(rf"\b{re.escape(n)}\b", low)), key=lambda n: (-len(n), n)
    )
    for name in names:
        others = vocabulary.siblings[name]
        for other in draw.sample(list(others), len(others)):
            yield _replaced(text, name, other)


def _base(word: str) -> str | None:
    """Verb of a form: "barks", "barking", "bark" -> "bark"; None for other words."""
    if word in GERUNDS:
        return GERUNDS[word]
    return THIRD_PERSON.get(word) or (
        "speak" if word in ("talk", "talks", "talking") else word if word in VERBS else None
    )


def _like(form: str, verb: str) -> str:
    """The verb in the form that another verb has."""
    if form in GERUNDS:
        return gerund(verb)
    return plural(verb) if form in THIRD_PERSON else verb


def _replaced(text: str, word: str, new: str) -> str:
    found = re.search(rf"\b{re.escape(word)}\b", text, re.I)
    return text if found is None else with_article(text, found.start(), found.end(), capital(new, like=found[0]))


_RULES: dict[Kind, Callable[[str, tuple[Phrase, ...], Vocabulary, random.Random], _Found]] = {
    "order": _order,
    "attribute": _attribute,
    "count": _count,
    "negation": _negation,
    "label": _label,
}
