"""The further tests of ``askaudio evaluate``: long tail, near misses, query forms, figures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askaudio.cli.evaluate.inputs import encode_texts

if TYPE_CHECKING:
    from askaudio.cli.evaluate.inputs import Data, Encoded, Scored
    from askaudio.data.manifest import Clip, Manifest
    from askaudio.evaluation.hard_negatives import NearMissReport
    from askaudio.evaluation.long_tail import BucketReport
    from askaudio.evaluation.query_forms import FormReport


def buckets(args: argparse.Namespace, scored: Scored) -> BucketReport:
    """Head, mid and tail of text-to-audio by training frequency.

    Raises:
        ConfigError: The queries have no texts.
        DataError: No training captions.
    """
    from askaudio.core.errors import ConfigError
    from askaudio.evaluation.long_tail import Rarity, by_bucket, word_frequencies

    if scored.data is None or "t2a" not in scored.report.directions:
        raise ConfigError("--buckets needs text-to-audio scores and the captions of --data")
    train = _training_clips(args, scored.data)
    relevance = scored.relevance
    if args.buckets == "words":
        seen = word_frequencies(caption.text for clip in train for caption in clip.captions)
        rarity = Rarity.of_texts([relevance.texts[q] for q in relevance.query_ids], seen)
    else:
        labels = {c.clip_id: c.label for c in scored.data.clips}
        first = relevance.items[relevance.indptr[:-1]]
        rarity = Rarity.of_labels([labels[relevance.gallery_ids[i]] for i in first], [c.label for c in train])
    return by_bucket(scored.report, rarity)


def _training_clips(args: argparse.Namespace, data: Data) -> Manifest:
    from askaudio.core.errors import DataError
    from askaudio.data.readers.open import open_dataset

    whole = open_dataset(args.train_data, need_audio=False) if args.train_data else data.whole
    train = whole.split("train") if any(c.split for c in whole) else whole
    if not args.train_data and not any(c.split == "train" for c in whole):
        raise DataError("--buckets counts training captions and the data has no train split; give --train-data SPEC")
    return train


def near_misses(scored: Scored) -> NearMissReport:
    """Near misses: exact for generated scenes, those of the manifest's ``near_misses`` where given, else by rule.

    Raises:
        ConfigError: No model, or queries that are not captions.
    """
    from askaudio.core.errors import ConfigError
    from askaudio.evaluation.hard_negatives import NearMissTexts, score_near_misses
    from askaudio.evaluation.near_misses import near_misses as by_rule

    if scored.encoder is None or scored.encoded is None or scored.text is None:
        raise ConfigError("--near-misses makes new texts, so it needs a model that can encode them")
    if all("events" in clip.extra for clip in scored.encoded.clips):
        return _of_scenes(scored)
    relevance = scored.relevance
    exact = {k: v for clip in scored.encoded.clips for k, v in _exact(clip).items()}
    texts = [relevance.texts[q] for q in relevance.query_ids]
    made = NearMissTexts.of([exact.get(q) or by_rule(t) for q, t in zip(relevance.query_ids, texts, strict=True)])
    if not made.texts:
        raise ConfigError("no rule finds a near miss of these captions; they are all too short")
    near = encode_texts(scored.encoder, made.texts, "encoding near misses")
    return score_near_misses(scored.encoded.audio, scored.text, near, made, relevance)


def _of_scenes(scored: Scored) -> NearMissReport:
    """Minimal pairs of generated scenes: each wrong text differs from a true one in one thing."""
    from askaudio.evaluation.hard_negatives import NearMissTexts, score_near_misses
    from askaudio.evaluation.relevance import Relevance
    from askaudio.scenes.library import wordings_of
    from askaudio.scenes.near_miss import near_miss_set

    assert scored.encoder is not None and scored.encoded is not None  # near_misses has refused the rest
    scenes = scored.encoded.clips
    pairs, lists = near_miss_set(scenes, wordings_of(scenes))
    relevance = Relevance.from_clips(pairs)
    made = NearMissTexts.of(lists)
    true = encode_texts(scored.encoder, [relevance.texts[q] for q in relevance.query_ids], "encoding true texts")
    near = encode_texts(scored.encoder, made.texts, "encoding near misses")
    return score_near_misses(scored.encoded.audio, true, near, made, relevance)


def _exact(clip: Clip) -> dict[str, list[tuple[str, str]]]:
    """Near misses that the manifest gives: for each caption a list of [kind, text]."""
    from askaudio.core.errors import DataError

    given = clip.extra.get("near_misses")
    if not given:
        return {}
    try:
        lists = [[(str(kind), str(text)) for kind, text in found] for found in given]
        return {c.caption_id: found for c, found in zip(clip.captions, lists, strict=True)}
    except (TypeError, ValueError) as error:
        raise DataError(
            f"clip {clip.clip_id!r}: near_misses must hold for each caption a list of [kind, text], got {given!r:.80}"
        ) from error


def query_forms(scored: Scored) -> FormReport:
    """Text-to-audio asked in other forms.

    Raises:
        ConfigError: No model.
    """
    from askaudio.core.errors import ConfigError
    from askaudio.evaluation.query_forms import FORMS, score_forms

    if scored.encoder is None or scored.encoded is None or scored.text is None:
        raise ConfigError("--query-forms makes new texts, so it needs a model that can encode them")
    texts = [scored.relevance.texts[q] for q in scored.relevance.query_ids]
    encoder = scored.encoder
    forms = {name: encode_texts(encoder, [form(t) for t in texts], f"encoding {name}") for name, form in FORMS.items()}
    return score_forms(scored.encoded.audio, {"caption": scored.text, **forms}, scored.relevance, scored.report.ties)


def draw(scored: Scored, extras: dict[str, Any], folder: Path) -> list[Path]:
    """Figures of a report; without matplotlib one line says how to get them."""
    from askaudio.core.errors import MissingExtraError
    from askaudio.evaluation import figures

    report = scored.report
    metrics = [m for m in report.metrics if m.startswith(("R@", "mAP", "nDCG", "MRR"))]
    try:
        figures.recall_figure([report], folder / "recall.png", metrics)
        figures.rank_figure(report, folder / "ranks.png")
    except MissingExtraError as error:
        sys.stderr.write(f"no figures: {error}\n")
        return []
    written = [folder / "recall.png", folder / "ranks.png"]
    if "buckets" in extras:
        figures.bucket_figure(extras["buckets"], folder / "buckets.png", f"{report.name}: {report.pool_line()}")
        written.append(folder / "buckets.png")
    if scored.encoded is not None:
        _draw_worst(scored, scored.encoded, folder / "worst.png")
        written.append(folder / "worst.png")
    return written


def _draw_worst(scored: Scored, encoded: Encoded, path: Path) -> None:
    """The queries that fail worst: spectrogram of the wanted clip beside that of the clip ranked first."""
    from askaudio.audio.decode import stream_windows
    from askaudio.audio.logmel import LogMel
    from askaudio.evaluation import figures

    relevance, log_mel = scored.relevance, LogMel()
    files = {c.clip_id: c.path for c in encoded.clips}
    place = {q: i for i, q in enumerate(relevance.query_ids)}
    rows = []
    for query, rank in figures.worst_queries(scored.report, 6):
        scores = scored.run.scores.block(place[query], place[query] + 1)[0]
        wanted = relevance.gallery_ids[relevance.items[relevance.indptr[place[query]]]]
        first = relevance.gallery_ids[int(scores.argmax())]
        rows.append((f'"{relevance.texts[query]}": rank {rank:g} of {len(scores):,}', wanted, first))

    def spectrogram(clip_id: str) -> Any:
        window = next(stream_windows(files[clip_id], log_mel.sample_rate_hz, 10.0, 10.0))
        return log_mel(window.samples)

    figures.worst_queries_figure(rows, spectrogram, path)
