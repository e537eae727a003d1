"""Checks of captions: empty, odd and repeated texts, texts shared by clips, captions shifted by one row."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from askaudio.checks.findings import Finding, findings_of
from askaudio.core.types import Split
from askaudio.data.manifest import Clip, Manifest

LONGEST_WORDS = 60
_BLANKS = re.compile(r"\s+")
# UTF-8 read as Latin-1: a capital A with tilde or circumflex before a sign of the upper half, or the replacement mark
_MOJIBAKE = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\ufffd")
# kinds of odd captions, in the order of the report
_ODD: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("no letter", lambda text: not any(char.isalpha() for char in text)),
    ("wrongly decoded letters", lambda text: bool(_MOJIBAKE.search(text))),
    ("control characters", lambda text: any(not char.isprintable() for char in text)),
    ("markup or a link", lambda text: bool(re.search(r"https?://|</?[a-z]+>|&[a-z]+;", text))),
    (f"more than {LONGEST_WORDS} words", lambda text: len(text.split()) > LONGEST_WORDS),
)


def caption_key(text: str) -> str:
    """Normal form of a caption for comparison: lower case, single blanks, no full stop at the end."""
    return _BLANKS.sub(" ", text.strip().lower()).rstrip(" .")


def alignment_checksum(clips: Iterable[Clip]) -> str:
    """16 hex digits that identify the pairs of clips and captions, independent of their order.

    Two copies of a corpus with the same checksum have the same pairs; captions shifted by one row change it.
    """
    pairs = sorted(f"{clip.clip_id}\t{caption.text}" for clip in clips for caption in clip.captions)
    return hashlib.sha256("\n".join(pairs).encode("utf-8", "surrogatepass")).hexdigest()[:16]


# alignment_checksum of the official caption files
OFFICIAL: dict[tuple[str, str, Split], str] = {
    ("audiocaps", "v1", "train"): "1bf04443ef6f2d9d",
    ("audiocaps", "v1", "val"): "b1513b116151d5f7",
    ("audiocaps", "v1", "test"): "fe973043e34a4dc1",
    ("audiocaps", "v2", "val"): "c2f2b5af54ba38c5",
    ("audiocaps", "v2", "test"): "2fffeee91b119db4",
    ("audiocaps", "mei", "val"): "a64f5d0e0f74dab7",
    ("audiocaps", "mei", "test"): "3ca36bf33fc1c1c3",
    ("clotho", "v2.1", "train"): "45ab64b94b1f205e",
    ("clotho", "v2.1", "val"): "726d6245d9293121",
    ("clotho", "v2.1", "test"): "bcbea108b25cff92",
}


def official_state(manifest: Manifest, split: Split | None, checksum: str) -> str:
    """Compare a checksum with that of the official caption files.

    Args:
        manifest: Data set; its name and version select the published checksum.
        split: Split that the checksum belongs to.
        checksum: ``alignment_checksum`` of its clips.

    Returns:
        "as published", "not as published", or "" where no published checksum is known.
    """
    known = OFFICIAL.get((manifest.name.split(":")[0], manifest.about.version.split(",")[0], split)) if split else None
    if known is None or "list" in manifest.about.version:
        return ""
    return "as published" if checksum == known else "not as published"


def shared_captions(clips: Iterable[Clip]) -> dict[str, tuple[set[str], int]]:
    """Texts that belong to several clips: text -> (ids of the clips, number of captions with this text)."""
    owners: dict[str, set[str]] = defaultdict(set)
    count: Counter[str] = Counter()
    for clip in clips:
        for caption in clip.captions:
            key = caption_key(caption.text)
            owners[key].add(clip.clip_id)
            count[key] += 1
    return {key: (ids, count[key]) for key, ids in owners.items() if key and len(ids) > 1}


def check_captions(clips: Sequence[Clip], where: str, split: Split | None) -> Iterator[Finding]:
    """Check the captions of one split, or of a whole set without splits.

    Args:
        clips: Clips of the split.
        where: Name of the place in the findings.
        split: The split; a shared caption has other consequences in training than in a test.
    """
    n_captions = sum(len(clip.captions) for clip in clips)
    bare = [clip.clip_id for clip in clips if not clip.captions]
    yield from findings_of("warning", "no caption", where, "clips without any caption are never a query", bare)
    empty = [c.caption_id for clip in clips for c in clip.captions if not c.text.strip()]
    yield from findings_of("error", "empty caption", where, "empty texts are queries that have no answer", empty)
    for what, is_odd in _ODD:
        odd = [f"{c.caption_id}: {c.text[:80]}" for clip in clips for c in clip.captions if c.text and is_odd(c.text)]
        yield from findings_of("warning", "odd caption", where, f"captions with {what}", odd)
    twice = [clip.clip_id for clip in clips if len({caption_key(c.text) for c in clip.captions}) < len(clip.captions)]
    yield from findings_of("note", "caption repeated", where, "clips have the same caption twice", twice)
    shared = shared_captions(clips)
    n_queries = sum(n for _, n in shared.values())
    most = sorted(shared.items(), key=lambda item: (-len(item[1][0]), item[0]))
    text = f"texts belong to several clips: {n_queries:,} of {n_captions:,} captions; "
    text += "they need a multi-positive loss" if split == "train" else "a perfect R@1 is impossible"
    examples = [f"{key!r}: {len(ids)} clips" for key, (ids, _) in most]
    yield from findings_of("note", "shared caption", where, text, examples)


def check_alignment(first: Manifest, second: Manifest) -> Iterator[Finding]:
    """Compare the captions of the clips that two sets have in common.

    Captions that are shifted by one row are an error; clips without a common caption are otherwise a warning.
    """
    ours = {clip.clip_id: _texts(clip) for clip in first.listed}
    theirs = [(clip.clip_id, _texts(clip)) for clip in second.listed if clip.clip_id in ours]
    differ = [clip_id for clip_id, texts in theirs if not texts & ours[clip_id]]
    if not differ:
        return
    where = f"{first.name} / {second.name}"
    for shift in (1, -1):
        ids = [clip_id for clip_id, _ in theirs]
        moved = [ids[k] for k in range(len(ids)) if 0 <= k + shift < len(ids) and theirs[k][1] & ours[ids[k + shift]]]
        if len(moved) > len(differ) / 2:
            text = "clips have the caption of their neighbour: the captions are shifted by one row"
            yield from findings_of("error", "captions shifted", where, text, moved)
            return
    text = f"of {len(theirs):,} clips with the same id have no caption in common"
    yield from findings_of("warning", "captions differ", where, text, differ)


def _texts(clip: Clip) -> frozenset[str]:
    return frozenset(caption_key(caption.text) for caption in clip.captions)
