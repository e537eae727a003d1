"""Further tests of a model: long tail, near misses, other forms of the queries, hubs."""

from __future__ import annotations

from typing import Literal

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import Progress, silent
from askaudio.data.manifest import Manifest
from askaudio.data.near_misses import sure_near_misses
from askaudio.encoders.tuning import Tuning
from askaudio.evaluation.hard_negatives import NearMissReport, NearMissTexts, score_near_misses
from askaudio.evaluation.hubs import HubReport, score_hubs
from askaudio.evaluation.long_tail import BucketReport, Rarity, by_bucket, word_frequencies
from askaudio.evaluation.query_forms import FORMS, FormReport, score_forms
from askaudio.evaluation.relevance import Relevance
from askaudio.pipeline.evaluate import Evaluation, ModelEvaluation
from askaudio.pipeline.evaluation.embed import encode_texts
from askaudio.scenes.library import wordings_of
from askaudio.scenes.near_miss import near_miss_set


def frequency_buckets(
    evaluation: Evaluation, by: Literal["words", "label"] = "words", train: Manifest | None = None
) -> BucketReport:
    """Text-to-audio scores of head, mid and tail by training frequency.

    Args:
        evaluation: Of a data set.
        by: Frequency of the caption's rarest word, or of its clip's label.
        train: Data set whose training captions are counted: its train split, or all of it where it has no splits.
            None for the train split of the evaluated set.

    Raises:
        ConfigError: The evaluation has no text-to-audio scores or no captions.
        DataError: No training captions.
    """
    data, relevance = evaluation.data, evaluation.relevance
    if data is None or "t2a" not in evaluation.report.directions:
        raise ConfigError("--buckets needs text-to-audio scores and the captions of --data")
    clips = _training_clips(train or data.whole, given=train is not None)
    if by == "words":
        counts = word_frequencies(caption.text for clip in clips for caption in clip.captions)
        rarity = Rarity.of_texts([relevance.texts[query] for query in relevance.query_ids], counts)
    else:
        labels = {clip.clip_id: clip.label for clip in data.clips}
        first = relevance.items[relevance.indptr[:-1]]  # (Q,) first right clip of each query
        rarity = Rarity.of_labels([labels[relevance.gallery_ids[i]] for i in first], [clip.label for clip in clips])
    return by_bucket(evaluation.report, rarity)


def _training_clips(whole: Manifest, given: bool) -> Manifest:
    if not given and not any(clip.split == "train" for clip in whole):
        raise DataError("--buckets counts training captions and the data has no train split; give --train-data SPEC")
    return whole.split("train") if any(clip.split for clip in whole) else whole


def hubs(evaluation: ModelEvaluation, progress: Progress = silent) -> HubReport:
    """Text-to-audio retrieval without and with the correction of hubs, whatever the number of words of a text.

    Args:
        evaluation: Of a model.
        progress: Not called; no text is encoded.

    Raises:
        ConfigError: Nothing was measured about the hubs of the model.
    """
    tuning: Tuning | None = getattr(evaluation.encoder, "tuning", None)
    correction = tuning.hubs.get("text") if tuning else None
    if correction is None:
        raise ConfigError(
            f"the model {evaluation.encoder.name} has no correction of hubs in search.json; "
            "benchmarks/everyday/tune.py makes one"
        )
    return score_hubs(evaluation.text, evaluation.text - correction.taken, evaluation.audio, evaluation.relevance)


def near_misses(evaluation: ModelEvaluation, progress: Progress = silent) -> NearMissReport:
    """Compare each caption with texts that are almost right.

    The wrong texts are exact for generated scenes; else they are the manifest's ``near_misses``, and where a caption
    has none, they are made by rule; those that may be true are left out.

    Args:
        evaluation: Of a model.
        progress: Called with the texts encoded.

    Raises:
        ConfigError: No rule applies to any caption.
        DataError: The manifest's ``near_misses`` are malformed.
    """
    if all("events" in clip.extra for clip in evaluation.clips):
        return _near_misses_of_scenes(evaluation, progress)
    relevance = evaluation.relevance
    found = sure_near_misses(evaluation.clips)
    of_text = {c.text: found[c.caption_id] for clip in evaluation.clips for c in clip.captions}  # a query may be a text
    made = NearMissTexts.of([found.get(q) or of_text.get(relevance.texts[q], []) for q in relevance.query_ids])
    if not made.texts:
        raise ConfigError("no rule makes a near miss of these captions; they are all too short")
    near = encode_texts(evaluation.encoder, made.texts, progress)
    return score_near_misses(evaluation.audio, evaluation.text, near, made, relevance)


def _near_misses_of_scenes(evaluation: ModelEvaluation, progress: Progress) -> NearMissReport:
    """Minimal pairs of generated scenes: each wrong text differs from a true one in one thing."""
    scenes, encoder = evaluation.clips, evaluation.encoder
    pairs, lists = near_miss_set(scenes, wordings_of(scenes))
    relevance = Relevance.from_clips(pairs)
    made = NearMissTexts.of(lists)
    true = encode_texts(encoder, [relevance.texts[query] for query in relevance.query_ids], progress)
    near = encode_texts(encoder, made.texts, progress)
    return score_near_misses(evaluation.audio, true, near, made, relevance)


def query_forms(evaluation: ModelEvaluation, progress: Progress = silent) -> FormReport:
    """Text-to-audio scores when the captions are written as key words, questions and commands."""
    relevance, encoder = evaluation.relevance, evaluation.encoder
    texts = [relevance.texts[query] for query in relevance.query_ids]
    forms = {form: encode_texts(encoder, [rewrite(t) for t in texts], progress) for form, rewrite in FORMS.items()}
    return score_forms(evaluation.audio, {"caption": evaluation.text, **forms}, relevance, evaluation.report.ties)
