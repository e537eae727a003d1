"""Find sounds by words, by a sound, or both.

Examples:
  askaudio search "zombie growls"
  askaudio search "rain -thunder"                           rain, not like thunder; several words: -"car horn"
  askaudio search "rain" --not thunder --where "duration<30 and channels=2"
  askaudio search --audio door.wav --top 5                 sounds like this one
  askaudio search "soft piano" --audio mood.mp3 --weights 1,0.5
  askaudio search "glass breaks" --picture hits.png        spectrograms of the hits
  askaudio search --batch queries.txt --json               one query a line, one JSON line each
  askaudio search --audio door.wav --captions              which stored captions describe it
  askaudio search "Hund bellt"                             other languages (extra languages)
  askaudio search "dog barks" --moments                    the seconds inside the files that match
  askaudio search "dog barks" --export-moments barks --handles 0.5       the same as WAV cuts in a folder
  askaudio search --like field.wav@12.5-15                 sounds like these seconds of a file

Filters compare duration, channels, rate, start, end, size, modified, loudness (LUFS), peak (dBFS), silence (share of
time), brightness and pitch (Hz), onsets and tempo by size; every other field (tag, path, format, title, artist,
category, caption, ...) with = != ~ (contains) and in (...); joined by and, or, not and brackets.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, say, warn
from askaudio.core.errors import ConfigError, DataError
from askaudio.core.names import shown
from askaudio.core.text import decode_text, non_blank_lines, read_text

if TYPE_CHECKING:
    from askaudio.search.engine import SearchEngine
    from askaudio.search.hits import Hit, Hits
    from askaudio.search.query import Part

HELP = "find sounds by words or by a sound"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio search``."""
    parser.add_argument("text", nargs="*", help="words that describe the sound; several texts have equal weights")
    parser.add_argument(
        "--audio",
        action="append",
        default=[],
        metavar="FILE",
        help="a sound to look for; FILE@12.5-15 is a stretch of it",
    )
    parser.add_argument(
        "--like", action="append", default=[], metavar="CLIP_ID",
        help="a stored clip or a file to look for; CLIP_ID@12.5-15 and FILE@12.5-15 are stretches",
    )  # fmt: skip
    parser.add_argument(
        "--not",
        action="append",
        default=[],
        dest="avoid",
        metavar="TEXT_OR_FILE",
        help="words or a sound that hits should not be like",
    )
    parser.add_argument("--weights", help="weights of texts, sounds and clips in this order, for example 1,0.5")
    parser.add_argument("--not-weight", type=float, metavar="W", help="how far --not moves hits down (default 0.75)")
    parser.add_argument("--where", help='a filter, for example "duration<3 and tag=rain"')
    parser.add_argument("--top", type=int, default=10, help="how many recordings (default 10)")
    parser.add_argument("--batch", metavar="FILE", help="one text query a line ('-' for standard input)")
    parser.add_argument("--captions", action="store_true", help="stored captions that describe the sound of --audio")
    parser.add_argument("--moments", action="store_true", help="find the seconds inside each hit that match")
    parser.add_argument(
        "--export-moments", metavar="OUT",
        help="write the moments: a table (.csv), labels for Audacity (.txt), a project (.rpp) or regions "
        "(.regions.csv) for REAPER, or a new folder or .zip of WAV cuts",
    )  # fmt: skip
    parser.add_argument(
        "--handles", type=float, default=0.0, metavar="S", help="seconds around each WAV cut (default 0)"
    )
    parser.add_argument("--picture", metavar="OUT.png", help="draw spectrograms of the hits")
    parser.add_argument("--vectors-only", action="store_true", help="do not match words with names, tags and captions")
    parser.add_argument("--all-takes", action="store_true", help="do not fold near-identical takes into one hit")
    parser.add_argument("--language", default="", metavar="CODE", help="of the words: en, de, fr ...; default: found")
    parser.add_argument(
        "--correct-hubs",
        action=argparse.BooleanOptionalAction,
        help="lower sounds that are near to every query (default: for descriptions, where it was measured to help)",
    )
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")
    parser.add_argument("--model", help="encoder to use; default: the one that made the collection")


def run(args: argparse.Namespace) -> int:
    """Search; 0 when something was found, 1 when nothing was."""
    from askaudio.encoders.load import load
    from askaudio.engines.open import default_collection
    from askaudio.search.engine import SearchEngine

    if args.captions and len(args.audio) != 1:
        raise ConfigError("--captions needs exactly one --audio FILE")
    args.moments = args.moments or bool(args.export_moments)
    if args.moments and (args.captions or args.batch):
        raise ConfigError("--moments goes with one query; leave out --captions and --batch")
    queries = _batch(args.batch) if args.batch else []
    parts = () if args.batch or args.captions else _parts(args)
    encoder = load(args.model) if args.model else None
    with SearchEngine.open(args.collection or default_collection(), encoder) as engine:
        if args.captions:
            return _captions(args, engine)
        if args.batch:
            return _search_batch(args, engine, queries)
        hits = engine.search(
            more=parts,
            top_k=args.top,
            where=args.where,
            words=not args.vectors_only,
            fold_twins=not args.all_takes,
            correct_hubs=args.correct_hubs,
            moments=args.moments,
        )
        if args.export_moments:
            _export(args, engine, hits)
    _tell(hits)
    if args.json:
        emit_json([hit.to_json() for hit in hits])
    else:
        show(hits)
    if args.picture:
        from askaudio.cli.picture import draw_hits

        draw_hits(hits, Path(args.picture), " ".join(args.text) or ", ".join(args.audio))
        warn(f"drew {args.picture}")
    return 0 if hits else 1


def _export(args: argparse.Namespace, engine: SearchEngine, hits: list[Hit]) -> None:
    from askaudio.cli.export_moments import export_moments

    query = " ".join(args.text) or ", ".join(Path(sound).name for sound in [*args.audio, *args.like])
    done = export_moments(engine.store, hits, query, args.export_moments, args.handles)
    for left in done.selection.left:
        warn(f"left out: {shown(left.path)}: {left.reason}")
    warn(f"wrote {len(done.selection.taken)} moments to {shown(args.export_moments)}")


def _parts(args: argparse.Namespace) -> tuple[Part, ...]:
    from askaudio.search.query import AVOID_WEIGHT, in_language, is_sound_file, make_parts, split_minus, weighted

    split = [split_minus(text) for text in args.text]
    texts = [words for words, _ in split if words]
    minus = [words for _, avoided in split for words in avoided]
    sought = len(texts) + len(args.audio) + len(args.like)
    try:
        weights = [float(w) for w in args.weights.split(",")] if args.weights else [1.0] * sought
    except ValueError as error:
        raise ConfigError(f"--weights is {args.weights!r}; expected numbers such as 1,0.5") from error
    if len(weights) != sought:
        raise ConfigError(f"--weights has {len(weights)} numbers for {sought} texts and sounds")
    files = [value for value in args.like if is_sound_file(value)]
    parts = make_parts(
        texts,
        [*args.audio, *files],
        like=[value for value in args.like if value not in files],
        avoid=[*minus, *(Path(a) if is_sound_file(a) else a for a in args.avoid)],
        avoid_weight=AVOID_WEIGHT if args.not_weight is None else args.not_weight,
    )
    return in_language(weighted(parts, weights), args.language)


def _batch(source: str) -> list[str]:
    try:
        text = decode_text(sys.stdin.buffer.read()) if source == "-" else read_text(source)
    except DataError as error:
        raise ConfigError(f"--batch {source}: {error}; expected a text file with one query a line") from error
    return non_blank_lines(text)


def _search_batch(args: argparse.Namespace, engine: SearchEngine, queries: list[str]) -> int:
    from askaudio.search.query import in_language, make_parts, split_minus

    split = [split_minus(query) for query in queries]
    parts = [in_language(make_parts(words or None, avoid=avoid), args.language) for words, avoid in split]
    found = engine.search_many(
        parts, args.top, args.where, words=not args.vectors_only, fold_twins=not args.all_takes,
        correct_hubs=args.correct_hubs,
    )  # fmt: skip
    for query, hits in zip(queries, found, strict=True):
        if args.json:
            line = {"query": query, "hits": [hit.to_json() for hit in hits], "fits": hits.fits}
            emit_json(line | ({"notes": hits.notes} if hits.notes else {}))
        else:
            say(query)
            _tell(hits)
            show(hits)
            say()
    return 0


def _captions(args: argparse.Namespace, engine: SearchEngine) -> int:
    found = engine.captions(args.audio[0], args.top)
    if args.json:
        emit_json([caption.to_json() for caption in found])
    if found and not args.json:
        say(f"{'#':>3}  {'cosine':>6}  caption")
    for c in [] if args.json else found:
        say(f"{c.rank:3d}  {c.score:+.3f}  {c.caption}")
    return 0 if found else 1


def _tell(hits: Hits) -> None:
    """What the user should know about the whole answer, on standard error."""
    from askaudio.search.hits import NOTHING_FITS

    for note in [*hits.notes, *([NOTHING_FITS] if hits and not hits.fits else [])]:
        warn(note)


def show(hits: list[Hit]) -> None:
    """Print hits for people."""
    if not hits:
        say("nothing found; try other words, or a wider --where")
    else:
        say(f"{'#':>3}  {'match':>5}  {'cosine':>6}  {'best part':>16}  file")
    for hit in hits:
        place = f"{hit.start_s:.1f}-{hit.end_s:.1f} s"
        notes = [f"+{len(hit.twins)} near-identical"] if hit.twins else []
        notes += ["named " + " ".join(hit.words)] if hit.words else []
        facts = f"{hit.rank:3d}  {hit.match:5.1f}  {hit.score:+.3f}  {place:>16}  {shown(hit.path)}"
        say(f"{facts}  {', '.join(notes)}".rstrip())
        if hit.moments:
            places = ", ".join(f"{m.start_s:.1f}-{m.end_s:.1f} s ({m.score:+.2f})" for m in hit.moments)
            say(f"{'':>16}  moments: {places}")
