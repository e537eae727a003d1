"""A map of a collection: one place in the plane for each recording, so that what sounds alike is near.

Some hundreds of landmarks are laid out by t-SNE, which keeps neighbours together. Every other recording is placed among
its nearest landmarks. So the time grows with the number of recordings and not with its square: 2 s for 1,000 recordings
and 10 s for 100,000 on one core. The layout begins with the principal components and draws no random numbers, so the
same collection has the same map. It is kept beside the collection until the collection changes.

Source: van der Maaten and Hinton, "Visualizing data using t-SNE", 2008.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from askaudio.core.files import atomic_path
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray, IntArray
from askaudio.engines.address import parse_address
from askaudio.search.engine import SearchEngine
from askaudio.search.suggestions import candidates, text_vectors

Float64Array = npt.NDArray[np.float64]

RULES = 1  # increase it with every change of the layout: kept maps are then made again
SCALE = 65_535
_LANDMARKS = 600
_COMPONENTS = 50
_PERPLEXITY = 20.0
_TURNS = 350
_NEAREST = 4  # landmarks that a recording is placed among
_ROWS = 8192  # recordings at a time
_REGIONS, _LISTED = 16, 60  # labels, and recordings of each


@dataclass(frozen=True, slots=True)
class Label:
    """A word for a region.

    Attributes:
        text: What most of its sounds are like.
        x: Middle of the region, 0 to ``SCALE``.
        y: The same.
        rows: Recordings of the region, those nearest to its middle first, at most 60.
    """

    text: str
    x: float
    y: float
    rows: list[int]


@dataclass(frozen=True, slots=True)
class SoundMap:
    """Places of N recordings.

    Attributes:
        version: Of the collection.
        ids: Of the recordings, sorted.
        x: (N,) integers from 0 to ``SCALE``.
        y: (N,) the same.
        labels: Regions, the largest first.
    """

    version: str
    ids: list[str]
    x: IntArray
    y: IntArray
    labels: list[Label]


_kept: WeakKeyDictionary[SearchEngine, SoundMap] = WeakKeyDictionary()
_lock = threading.Lock()


def map_of(engine: SearchEngine) -> SoundMap:
    """The map of a collection; made when it is first needed, read from the collection's folder afterwards."""
    with _lock:
        version = engine.store.version()
        kept = _kept.get(engine)
        if kept is None or kept.version != version:
            kept = _kept[engine] = _made(engine, version)
        return kept


def _made(engine: SearchEngine, version: str) -> SoundMap:
    ids, vectors = clip_vectors(engine)
    file = _file(engine)
    places = _read(file, version, len(ids)) if file is not None else None
    if places is None:
        places = layout(vectors)
        if file is not None:
            _write(file, version, places)
    labels = regions(places, vectors, candidates(), text_vectors(engine.encoder)) if len(ids) else []
    return SoundMap(version, ids, places[:, 0], places[:, 1], labels)


def clip_vectors(engine: SearchEngine) -> tuple[list[str], FloatArray]:
    """Ids (N,) in ascending order, and the mean vector (N, D) of each recording, of length 1."""
    ids: list[str] = []
    sums: list[FloatArray] = []
    for entry in engine.store.iterate():  # ordered by entry id, which begins with the clip id
        if ids and ids[-1] == entry.clip_id:
            sums[-1] = sums[-1] + entry.vector
        else:
            ids.append(entry.clip_id)
            sums.append(entry.vector)
    if not ids:
        return [], np.zeros((0, engine.encoder.embed_dim), np.float32)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return [ids[row] for row in order], normalise_rows(np.stack(sums)[order])


# --- layout -----------------------------------------------------------------------------------------------------


def layout(vectors: FloatArray) -> IntArray:
    """Places (N, 2) of vectors (N, D), integers from 0 to ``SCALE``; equal vectors get neighbouring places."""
    if len(vectors) < 4:
        return np.array([(SCALE // 2 + 8000 * row, SCALE // 2) for row in range(len(vectors))], np.int64).reshape(-1, 2)
    marks = np.unique(np.linspace(0, len(vectors) - 1, _LANDMARKS).astype(np.int64))
    reduced, axes = principal_components(vectors[marks])
    flat = neighbour_embedding(reduced)
    places = np.empty((len(vectors), 2))
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        places[rows] = _among(vectors[rows] @ axes, reduced, flat, len(marks) == len(vectors), start)
    low, high = np.quantile(places, [0.002, 0.998], axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-9)
    return (np.clip((places - middle) / half * 0.47 + 0.5, 0.0, 1.0) * SCALE).round().astype(np.int64)


def principal_components(vectors: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Rows in their principal components (L, K), and the axes (D, K); K is at most 50."""
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    axes = axes[:, ::-1][:, : min(_COMPONENTS, len(vectors) - 1)]
    # the sign of an axis is arbitrary: its largest part is made positive
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return vectors.astype(np.float64) @ axes, axes


def neighbour_embedding(points: Float64Array) -> Float64Array:
    """t-SNE of points (L, K) in the plane, exact, from the first two components on."""
    distances = _squared_distances(points)
    likely = _neighbour_chances(distances, min(_PERPLEXITY, (len(points) - 1) / 3))
    likely = np.maximum((likely + likely.T) / (2 * len(points)), 1e-12)
    places = points[:, :2] - points[:, :2].mean(axis=0)
    places = places / max(float(places.std()), 1e-12) * 1e-2
    places = places + 1e-4 * np.stack([np.sin(np.arange(len(points))), np.cos(np.arange(len(points)))], axis=1)
    speed, gain = np.zeros_like(places), np.ones_like(places)
    for turn in range(_TURNS):
        near = 1 / (1 + _squared_distances(places))
        np.fill_diagonal(near, 0.0)
        pull = likely * (8.0 if turn < _TURNS // 4 else 1.0)  # clusters form first, then spread
        force = (pull - near / near.sum()) * near
        slope = 4 * (force.sum(axis=1)[:, None] * places - force @ places)
        gain = np.where(np.sign(slope) != np.sign(speed), gain + 0.2, np.maximum(gain * 0.8, 0.01))
        speed = (0.5 if turn < _TURNS // 4 else 0.8) * speed - max(len(points) / 8, 10.0) * gain * slope
        places = places + speed
        places = places - places.mean(axis=0)
    return places


def _squared_distances(points: Float64Array) -> Float64Array:
    squares = (points * points).sum(axis=1)
    return np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0.0)


def _neighbour_chances(distances: Float64Array, perplexity: float) -> Float64Array:
    """Chance (L, L) that row i picks j as its neighbour: normal around i, its width found by bisection."""
    wanted = np.log(max(perplexity, 1.01))
    low, high = np.full(len(distances), -20.0), np.full(len(distances), 20.0)  # log of the precision
    scaled = distances / max(float(np.median(distances)), 1e-12)
    np.fill_diagonal(scaled, np.inf)
    chances = np.zeros_like(scaled)
    for _ in range(40):
        middle = (low + high) / 2
        exponents = -scaled * np.exp(middle)[:, None]
        weights = np.exp(exponents - exponents.max(axis=1, keepdims=True))
        chances = weights / weights.sum(axis=1, keepdims=True)
        entropy = -(chances * np.log(np.maximum(chances, 1e-300))).sum(axis=1)
        low, high = np.where(entropy > wanted, middle, low), np.where(entropy > wanted, high, middle)
    return chances


def _among(points: Float64Array, marks: Float64Array, flat: Float64Array, all_marks: bool, start: int) -> Float64Array:
    """Places (n, 2) of points among landmarks.

    Args:
        points: (n, K).
        marks: (L, K) landmarks.
        flat: (L, 2) their places.
        all_marks: Every recording is a landmark, and keeps its place.
        start: Number of the first point.
    """
    if all_marks:
        return flat[start : start + len(points)]
    squares = (points * points).sum(axis=1)[:, None] + (marks * marks).sum(axis=1)[None] - 2 * points @ marks.T
    nearest = np.argpartition(squares, _NEAREST, axis=1)[:, :_NEAREST]
    distances = np.maximum(np.take_along_axis(squares, nearest, axis=1), 1e-9)
    weights = distances**-2
    middle = (flat[nearest] * (weights / weights.sum(axis=1, keepdims=True))[:, :, None]).sum(axis=1)
    # a little apart, by a sequence that fills a disc evenly: equal recordings do not cover each other
    numbers = np.arange(start, start + len(points))
    radius, angle = np.sqrt((numbers * 0.7548776662) % 1.0), 2 * np.pi * ((numbers * 0.5698402909) % 1.0)
    spread = 0.02 * float(flat.std()) * radius
    return middle + np.stack([spread * np.cos(angle), spread * np.sin(angle)], axis=1)


# --- labels -----------------------------------------------------------------------------------------------------


def regions(places: IntArray, vectors: FloatArray, texts: tuple[str, ...], text_rows: FloatArray) -> list[Label]:
    """Regions of a map and what their sounds are like.

    Args:
        places: (N, 2).
        vectors: (N, D), rows of length 1.
        texts: T candidates.
        text_rows: (T, D) their vectors.
    """
    count = max(1, min(_REGIONS, len(places) // 12))
    middles, of = _k_means(places.astype(np.float64), count)
    usual = text_rows @ vectors.mean(axis=0)
    found: list[Label] = []
    used: set[str] = set()
    for region in np.argsort(-np.bincount(of, minlength=count), kind="stable"):
        rows = np.flatnonzero(of == region)
        if not len(rows):
            continue
        scores = text_rows @ vectors[rows].mean(axis=0) - usual  # what is special in this region
        best = next((row for row in np.argsort(-scores, kind="stable").tolist() if texts[row] not in used), None)
        if best is None:
            continue
        used.add(texts[best])
        away = ((places[rows] - middles[region]) ** 2).sum(axis=1)
        middle = places[rows[away.argmin()]]  # a recording: the middle of a crescent would be empty
        listed = rows[np.argsort(away, kind="stable")[:_LISTED]].tolist()
        found.append(Label(texts[best], float(middle[0]), float(middle[1]), listed))
    return found


def _k_means(points: Float64Array, count: int) -> tuple[Float64Array, IntArray]:
    """Middles (K, 2) and the number of each point's middle (N,); it begins with the points that are farthest apart."""
    middles = points[:1]
    nearest = ((points - middles[0]) ** 2).sum(axis=1)
    while len(middles) < count:
        middles = np.vstack([middles, points[nearest.argmax()]])
        nearest = np.minimum(nearest, ((points - middles[-1]) ** 2).sum(axis=1))
    of = np.zeros(len(points), np.int64)
    for _ in range(25):
        distances = np.stack([((points - middle) ** 2).sum(axis=1) for middle in middles])
        of = distances.argmin(axis=0)
        sizes = np.maximum(np.bincount(of, minlength=count), 1)[:, None]
        sums = np.stack([np.bincount(of, points[:, axis], count) for axis in (0, 1)], axis=1)
        middles = np.where(np.bincount(of, minlength=count)[:, None] > 0, sums / sizes, middles)
    return middles, of


# --- beside the collection --------------------------------------------------------------------------------------


def _file(engine: SearchEngine) -> Path | None:
    folder = parse_address(engine.store.url).folder
    return None if folder is None else folder / "cache" / "map.npz"


def _read(file: Path, version: str, count: int) -> IntArray | None:
    try:
        with np.load(file, allow_pickle=False) as kept:
            places = np.asarray(kept["places"], np.int64)
            fits = str(kept["version"]) == version and int(kept["rules"]) == RULES and places.shape == (count, 2)
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return places if fits else None


def _write(file: Path, version: str, places: IntArray) -> None:
    try:
        file.parent.mkdir(exist_ok=True)
        with atomic_path(file) as temporary, temporary.open("wb") as out:
            np.savez_compressed(out, places=places.astype(np.uint16), version=np.array(version), rules=np.array(RULES))
    except OSError:
        pass  # the collection may be on a disk that is read only: the map is then made again in the next process
