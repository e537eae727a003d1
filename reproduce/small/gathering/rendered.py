"""Synthesise sounds: instruments by fluidsynth, speech by espeak-ng, and the kinds of ``askaudio.scenes``.

Both programs come from Debian (apt-get install fluidsynth espeak-ng). A source whose program is missing is refused with
that command. Phrases and sentences are written here, so only the licence of the sound font or the voice applies.
"""

from __future__ import annotations

import io
import itertools
import random
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from askaudio.scenes.synthesised import SynthesisedSource

from .apt import Apt
from .licences import Refused
from .midi_names import DRUMS, PROGRAMS

FONTS = ["fluid-soundfont-gm", "timgm6mb-soundfont"]
SLOT_MS = 6_000  # a phrase plays 4 s and rings for 2
PLAYED_MS = 4_000
RENDER_HZ = 32_000
TAKES = 24  # of a synthesised kind
MAJOR, MINOR = (0, 4, 7, 12), (0, 3, 7, 12)

SPOKEN = {
    "en-us": ("Good morning, how are you?", "The train leaves at seven.", "stop", "I can hear the rain on the roof"),
    "en-gb": ("Please close the door behind you.", "one two three four five", "hello", "What a lovely dog!"),
    "en-gb-scotland": ("It is a cold wind today.", "Where is the station?", "thank you"),
    "de": ("Guten Morgen, wie geht es Ihnen?", "Der Zug fährt um sieben Uhr ab.", "Achtung", "eins zwei drei"),
    "fr-fr": ("Bonjour, comment allez-vous ?", "Le chat dort sur la chaise.", "merci", "un deux trois quatre"),
    "es": ("Buenos días, ¿cómo está usted?", "La puerta está abierta.", "gracias", "uno dos tres cuatro"),
    "it": ("Buongiorno, come sta?", "Il mare è calmo stasera.", "grazie", "uno due tre quattro"),
    "pt-br": ("Bom dia, tudo bem?", "O ônibus chega às oito.", "obrigado", "um dois três"),
    "nl": ("Goedemorgen, hoe gaat het?", "De fiets staat buiten.", "dank u wel"),
    "pl": ("Dzień dobry, jak się pan ma?", "Pada deszcz.", "dziękuję"),
    "ru": ("Доброе утро, как дела?", "Поезд уходит в семь часов.", "спасибо"),
    "sv": ("God morgon, hur mår du?", "Det snöar i dag.", "tack"),
    "fi": ("Hyvää huomenta, mitä kuuluu?", "Koira juoksee metsässä.", "kiitos"),
    "cs": ("Dobré ráno, jak se máte?", "Venku prší.", "děkuji"),
    "tr": ("Günaydın, nasılsınız?", "Kapı açık.", "teşekkürler"),
    "el": ("Καλημέρα, τι κάνετε;", "Η θάλασσα είναι ήρεμη.", "ευχαριστώ"),
    "hi": ("नमस्ते, आप कैसे हैं?", "आज बारिश हो रही है।", "धन्यवाद"),
    "cmn": ("早上好，你好吗？", "火车七点开。", "谢谢"),
    "ko": ("안녕하세요, 어떻게 지내세요?", "비가 옵니다.", "감사합니다"),
    "sw": ("Habari za asubuhi?", "Mvua inanyesha.", "asante"),
    "vi": ("Chào buổi sáng, bạn khỏe không?", "Trời đang mưa.", "cảm ơn"),
    "hu": ("Jó reggelt, hogy van?", "Esik az eső.", "köszönöm"),
}  # fmt: skip
MANNERS = (("", 160, 50), ("+f3", 175, 60), ("+m5", 140, 35), ("+whisper", 150, 50))  # variant, words a minute, pitch


@dataclass(frozen=True, slots=True)
class Rendered:
    """A source of made sounds; ``sounds(cache, apt)`` yields (name, bytes of a wav)."""

    source: str
    licence: str
    sounds: Callable[[Path, Apt], Iterator[tuple[str, bytes]]]


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise Refused(f"{program} is not installed; run: apt-get install {program}")


def speech(cache: Path, apt: Apt) -> Iterator[tuple[str, bytes]]:
    """Every sentence of every language in four voices."""
    _need("espeak-ng")
    wav = cache / "speech.wav"
    for language, texts in SPOKEN.items():
        for k, (text, (variant, speed, pitch)) in enumerate(itertools.product(texts, MANNERS)):
            voice = language + variant
            subprocess.run(
                ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(wav), text], check=True
            )
            how = "speech whisper" if variant == "+whisper" else "speech"
            yield f"{language}/{how} {language} {k // len(MANNERS)}{'abcd'[k % len(MANNERS)]}.wav", wav.read_bytes()


def instruments(package: str) -> Callable[[Path, Apt], Iterator[tuple[str, bytes]]]:
    """All programs and drums of the sound font in ``package``."""

    def sounds(cache: Path, apt: Apt) -> Iterator[tuple[str, bytes]]:
        _need("fluidsynth")
        deb = apt.get(package)
        font = _font_of(deb, cache)
        deb.unlink()
        try:
            phrases = list(_phrases(random.Random(package)))
            (cache / "all.mid").write_bytes(_midi([events for _, events in phrases]))
            wav = cache / "all.wav"
            command = ["fluidsynth", "-ni", "-q", "-g", "0.6", "-r", "32000", "-F", str(wav), str(font)]
            subprocess.run([*command, str(cache / "all.mid")], check=True, stdout=subprocess.DEVNULL)
            with soundfile.SoundFile(wav) as file:
                for name, _ in phrases:
                    block = file.read(SLOT_MS * file.samplerate // 1000, dtype="int16")
                    data = io.BytesIO()
                    soundfile.write(data, block, file.samplerate, format="WAV")
                    yield f"{name}.wav", data.getvalue()
        finally:
            font.unlink()

    return sounds


def _font_of(deb: Path, cache: Path) -> Path:
    font = cache / "font.sf2"
    with tarfile.open(fileobj=io.BytesIO(subprocess.check_output(["dpkg-deb", "--fsys-tarfile", str(deb)]))) as tar:
        found = [m for m in tar if m.isfile() and m.name.endswith((".sf2", ".sf3"))]
        file = tar.extractfile(found[0]) if found else None
        if file is None:
            raise Refused(f"no sound font in {deb.name}")
        font.write_bytes(file.read())
    return font


def synthesised(cache: Path, apt: Apt) -> Iterator[tuple[str, bytes]]:
    """Every kind of the scene generator with many draws of its attributes."""
    source = SynthesisedSource()
    for label in sorted(source.labels):
        for take in range(TAKES):
            rng = np.random.default_rng([take, *label.encode()])
            sound = source.draw(label, "train", rng, float(rng.uniform(1, 10)), RENDER_HZ)
            data = io.BytesIO()
            samples = sound.samples / max(1e-6, float(np.abs(sound.samples).max())) * 0.7
            soundfile.write(data, samples, RENDER_HZ, format="WAV")
            yield f"{label}/{label} take {take}.wav", data.getvalue()


Event = tuple[int, bytes]  # (milliseconds from the phrase's start, MIDI message)


def _phrases(rng: random.Random) -> Iterator[tuple[str, list[Event]]]:
    """Four phrases for each of the 128 programs, each drum alone, and drum patterns."""
    for program, name in enumerate(PROGRAMS):
        low, high = (31, 48) if "bass" in name else (55, 76)
        root = rng.randint(low, high)
        yield f"{name}/{name} note", _notes(program, [(0, 3000, root)], rng)
        scale = MAJOR if rng.random() < 0.6 else MINOR
        yield f"{name}/{name} chord", _notes(program, [(0, 3000, root + step) for step in scale[:3]], rng)
        tune = [
            (250 * k, rng.choice((200, 250, 450)), root + rng.choice((-5, 0, 2, 4, 5, 7, 9, 12))) for k in range(14)
        ]
        yield f"{name}/{name} melody", _notes(program, tune, rng)
        fast = [(125 * k, 110, root + 12 * (k // 4 % 2) + scale[k % 4]) for k in range(28)]
        yield f"{name}/{name} arpeggio", _notes(program, fast, rng)
    for key, name in DRUMS.items():
        hits = [(0, 300, key), (900, 300, key), (1350, 300, key), (1800, 300, key), (2700, 900, key)]
        yield f"drums/{name}", _notes(None, hits, rng)
    for k in range(40):
        step = rng.choice((125, 150, 180, 220))
        bar = [[key for key in rng.sample(sorted(DRUMS), 4) if rng.random() < 0.35] for _ in range(8)]
        hits = [(n * step, 80, key) for n in range(PLAYED_MS // step) for key in bar[n % 8]]
        hits += [(n * step, 80, (36, 42, 38, 42)[n % 4]) for n in range(PLAYED_MS // step)]
        yield f"drums/drum pattern {k}", _notes(None, hits, rng)


def _notes(program: int | None, notes: list[tuple[int, int, int]], rng: random.Random) -> list[Event]:
    """(start ms, length ms, key) each -> MIDI messages; program None is the drum channel."""
    channel = 9 if program is None else 0
    events: list[Event] = [] if program is None else [(0, bytes([0xC0, program]))]
    for start, length, key in notes:
        events.append((start + 1, bytes([0x90 | channel, key, rng.randint(60, 118)])))
        events.append((min(start + length, PLAYED_MS), bytes([0x80 | channel, key, 0])))
    return sorted(events, key=lambda e: e[0])


def _midi(phrases: list[list[Event]]) -> bytes:
    """One MIDI file with a phrase in each slot; 500 ticks a quarter of half a second, so a tick is a millisecond."""
    body, now = b"", 0
    for slot, events in enumerate(phrases):
        for at, message in events:
            when = slot * SLOT_MS + at
            body += _varlen(when - now) + message
            now = when
    body += _varlen(max(0, len(phrases) * SLOT_MS - now)) + b"\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 500) + b"MTrk" + struct.pack(">I", len(body)) + body


def _varlen(number: int) -> bytes:
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(number & 0x7F | 0x80)
    return bytes(reversed(out))


SOURCES = {
    "fluidsynth-fluidr3": Rendered(
        "fluidsynth with the sound font of Debian package fluid-soundfont-gm", "MIT", instruments("fluid-soundfont-gm")
    ),
    "fluidsynth-timgm6mb": Rendered(
        "fluidsynth with the sound font of Debian package timgm6mb-soundfont",
        "GPL-2",
        instruments("timgm6mb-soundfont"),
    ),
    "scene-kinds": Rendered("the scene generator of askaudio", "Apache-2.0", synthesised),
    "espeak-ng": Rendered("espeak-ng, texts of reproduce/small/gathering/rendered.py", "GPL-3+ (the program)", speech),
}
