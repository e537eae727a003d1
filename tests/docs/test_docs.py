"""The docs say what is so: their blocks run, their command lines parse, their links lead somewhere, they build."""

import argparse
import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
FIRST_PAGES = (DOCS / "index.md", ROOT / "README.md")
RUNNABLE = [p for p in PAGES if p.parent.name in ("extend", "tutorials", "how-to") or p in FIRST_PAGES]
NOT_RUN = "<!-- not run:"  # before a block, with the reason
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<language>\w*)[^\n`]*\n(?P<body>.*?)^(?P=ticks)[ ]*$", re.M | re.S)
RATE_HZ = 16_000


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def load_script(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docs_pages = load_script(ROOT / "tools" / "docs_pages.py")


def blocks(page: Path, language: str) -> list[tuple[int, str, str]]:
    """Line, body, and the line before of each fenced block in a language."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        if match["language"] == language:
            before = text[: match.start()].rstrip().rsplit("\n", 1)[-1]
            found.append((text[: match.start()].count("\n") + 1, match["body"], before))
    return found


# --- blocks run -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """What the pages assume: sounds/ with captions, classes/, captions.csv, and a collection made by the toy."""
    from askaudio.encoders.load import load
    from askaudio.engines.open import open_store
    from askaudio.index.entries import Identity
    from askaudio.ingest.update import ingest

    folder = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    hz = {"low hum": 100, "middle horn": 400, "bell": 1500, "high whistle": 3200, "bird": 4000, "rain": 0}
    (folder / "sounds").mkdir()
    rows = ["file_name,caption"]
    t = np.arange(RATE_HZ) / RATE_HZ
    for number, (name, pitch_hz) in enumerate(hz.items()):
        sound = np.sin(2 * np.pi * pitch_hz * t) if pitch_hz else rng.standard_normal(len(t))
        path = folder / "sounds" / f"{name.replace(' ', '-')}.wav"
        soundfile.write(path, 0.05 * (number + 1) * sound, RATE_HZ)
        path.with_suffix(".txt").write_text(f"the sound of a {name}\n", encoding="utf-8")
        rows.append(f"sounds/{path.name},the sound of a {name}")
        for take in range(2):
            copy = folder / "classes" / name / f"take{take}-{number}.wav"
            copy.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(copy, 0.1 * sound[: RATE_HZ // 2], RATE_HZ)
    (folder / "captions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    encoder = load("toy")
    identity = Identity.of(encoder, "toy")
    with open_store(f"exact:{folder / 'collection'}", "w", identity) as store:
        ingest([folder / "sounds"], store, encoder)
    return folder


def run_blocks(page: Path, world: Path, monkeypatch) -> dict:
    """Run a page's python blocks one after the other, as a reader would; returns what they leave behind."""
    monkeypatch.chdir(world)
    for home in ("HOME", "USERPROFILE"):  # ~/sounds is the folder of the fixture
        monkeypatch.setenv(home, str(world))
    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(world / "collection"))
    names: dict = {"__name__": "__page__"}
    for line, body, before in blocks(page, "python"):
        if before.startswith(NOT_RUN):
            continue
        code = compile("\n" * line + body, str(page), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        names["printed"] = printed.getvalue()
    return names


@pytest.mark.parametrize("page", [p for p in RUNNABLE if blocks(p, "python")], ids=name_of)
def test_blocks_run_and_print_what_they_say(page, world, monkeypatch):
    names = run_blocks(page, world, monkeypatch)
    outputs = re.findall(r"print\(.*?\)  # (\[.*\])$", page.read_text(encoding="utf-8"), re.M)
    for output in outputs:
        assert output in names["printed"]


@pytest.mark.parametrize("page", sorted((DOCS / "extend").glob("[!i]*.md")), ids=name_of)
def test_the_smallest_working_one_is_small(page):
    lines = [line for line in blocks(page, "python")[0][1].splitlines() if line.strip()]
    assert len(lines) <= 45, f"{len(lines)} lines"


def test_the_store_of_the_docs_answers_as_the_exact_one(world, monkeypatch, tmp_path):
    from askaudio.engines.open import open_store
    from askaudio.index.entries import Entry, Identity

    names = run_blocks(DOCS / "extend" / "store.md", world, monkeypatch)
    identity = Identity("f", 4, "toy")
    store, exact = names["SqliteStore"](tmp_path / "x.sqlite", identity), open_store("memory:", "w", identity)
    rng = np.random.default_rng(1)
    rows = rng.integers(-1, 2, (60, 4)) + 0.5  # few different vectors: many ties
    entries = [
        Entry(f"e{i:02d}", f"c{i // 2}", v, i, i + 1, f"{i}.wav", {"channels": i % 3}) for i, v in enumerate(rows)
    ]
    for where in (None, "channels=1", "start>=20 and not channels=2"):
        for one in (store, exact):
            one.add(entries)
        assert store.search(rows[:5], 12, where) == exact.search(rows[:5], 12, where)
        assert store.count(where) == exact.count(where) > 0
        assert [e.entry_id for e in store.iterate(where)] == [e.entry_id for e in exact.iterate(where)]
        before = store.version()
        assert store.delete("channels=0") == exact.delete("channels=0") == 20
        assert store.version() != before
    assert store.find_words("7.wav") == exact.find_words("7.wav")
    store.close()
    assert len(names["SqliteStore"](tmp_path / "x.sqlite", identity).get(["e01", "e00", "e59"])) == 2


# --- command lines parse --------------------------------------------------------------------------------------
def shown_commands(page: Path) -> list[tuple[int, str]]:
    """Every line of a block, or indented, that calls askaudio; lines that end in a backslash are joined."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    pattern = re.compile(r"^(?: {4,})?(?:\$ )?(?:[A-Z_]+=\S+ )*(askaudio [^\n]+)$", re.M)
    inside = [m for f in FENCE.finditer(text) if f["language"] in ("", "text", "bash", "sh", "console")
              for m in pattern.finditer(text, f.start("body"), f.end("body"))]  # fmt: skip
    indented = [m for m in pattern.finditer(text) if m[0].startswith("    ")]
    return sorted({(text[: m.start()].count("\n") + 1, m[1]) for m in (*inside, *indented)})


def fault_of(line: str) -> str | None:
    """Why the real parser refuses a command line; what follows two or more blanks may be an explanation."""
    gaps = [m.start() for m in re.finditer(r"\s{2,}(?!-)|\s+#", line)]
    fault = None
    for end in (len(line), *reversed(gaps)):
        fault = _refusal(line[:end])
        if fault is None:
            return None
    return fault


def _refusal(line: str) -> str | None:
    from askaudio.cli import COMMANDS, _command_parser

    if line.startswith("askaudio: ") or re.match(r"askaudio \w+: ", line):
        return None  # a printed message
    try:
        words = shlex.split(line)[1:]
    except ValueError as error:
        return str(error)
    if any(word in ("|", ">", "&&", ";") for word in words):
        words = words[: next(i for i, word in enumerate(words) if word in ("|", ">", "&&", ";"))]
    if not words or words in (["--help"], ["--version"]):
        return None
    if words[0] not in COMMANDS:
        return f"no command {words[0]}"
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            args = _command_parser(words[0])[0].parse_args(words[1:])
        except SystemExit as left:
            return None if left.code == 0 else said.getvalue().strip().rsplit("\n", 1)[-1]
    return _unknown_keys(args) if words[0] == "train" else None


def _unknown_keys(args: argparse.Namespace) -> str | None:
    from dataclasses import asdict

    from askaudio.config.schema import Recipe

    sections = {name: keys for name, keys in asdict(Recipe()).items() if isinstance(keys, dict)}
    known = {"name", "seed", *sections}  # a section alone sets its kind
    for name, keys in sections.items():
        known |= {f"{name}.{key}" for key in keys} | set(keys)
    for given in filter(None, (args.recipe, *args.overrides)):
        if re.fullmatch(r"[a-z_.]+=.*", given) and given.partition("=")[0] not in known:
            return f"no recipe key {given}"
    return None


@pytest.mark.parametrize("page", [p for p in PAGES if shown_commands(p)], ids=name_of)
def test_command_lines_parse(page):
    faults = [
        f"{name_of(page)}:{n}: {line}\n    {fault}" for n, line in shown_commands(page) if (fault := fault_of(line))
    ]
    assert not faults, "\n".join(faults)


def test_a_wrong_command_line_would_be_found():
    assert "unrecognized" in fault_of("askaudio search rain --loudness 3")
    assert "no command" in fault_of("askaudio find rain")
    assert "no recipe key" in fault_of("askaudio train demo train.batchsize=3")
    assert fault_of("askaudio search rain --top 3     the best three") is None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_in_running_text_exist(page):
    from askaudio.cli import COMMANDS, _command_parser

    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for shown in re.findall(r"`askaudio ([^`]+)`", text):
        words = shown.split()
        assert words[0] in (*COMMANDS, "COMMAND", "--help", "--version"), shown
        options = [w.split("=")[0] for w in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", w)]
        if options and words[0] in COMMANDS:
            parser = _command_parser(words[0])[0]
            verbs = docs_pages._verbs(parser)
            parser = verbs.get(words[1], parser) if len(words) > 1 else parser
            missing = [o for o in options if o != "--help" and o not in parser._option_string_actions]
            assert not missing, f"{shown}: {missing}"


# --- links lead somewhere -------------------------------------------------------------------------------------
def slugs(text: str) -> set[str]:
    """Anchors of a page's headings, as mkdocs and code hosts make them."""
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.+?)\s*$", FENCE.sub("", text), re.M):
        plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", title)
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return found


def link_faults(page: Path, generated: dict[str, str]) -> list[str]:
    """Relative links of a page that lead nowhere."""
    made = {(DOCS / name).resolve(): text for name, text in generated.items()}
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    faults = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() and target not in made:
            faults.append(f"{name_of(page)}: {link}")
        elif anchor and target.suffix == ".md":
            there = made.get(target) or target.read_text(encoding="utf-8")
            if anchor not in slugs(there):
                faults.append(f"{name_of(page)}: {link} has no such heading")
    return faults


@pytest.fixture(scope="session")
def generated():
    return docs_pages.generated_pages()


def test_no_link_is_broken(generated):
    assert not [fault for page in PAGES for fault in link_faults(page, generated)]


def test_a_broken_link_would_be_found(tmp_path, generated, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](#one) [b](#two) [c](gone.md) `[d](gone.md)`\n", encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert len(link_faults(page, generated)) == 2


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|examples|benchmarks|docs|reproduce|tools|packaging)/[\w./-]+)(?:::\w+)?`", text)
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_page_of_the_menu_is_there(generated):
    import yaml

    def pages(tree):
        for item in tree:
            yield from (
                pages(item) if isinstance(item, list) else pages(item.values()) if isinstance(item, dict) else [item]
            )

    menu = list(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert not [page for page in menu if page not in generated and not (DOCS / page).is_file()]
    assert not [page for page in generated if page not in menu]


# --- generated pages and the site -----------------------------------------------------------------------------
def test_generated_pages_have_every_command_and_module(generated):
    from askaudio.cli import COMMANDS

    commands = generated["reference/commands.md"]
    assert [name for name in COMMANDS if f"\n## askaudio {name}\n" not in commands] == []
    assert "### askaudio data suspects" in commands and "--tower" in commands
    search = generated["reference/askaudio.search.md"]
    assert search.index("::: askaudio.search.engine\n") < search.index("::: askaudio.search.ranking\n")
    assert "::: askaudio.ask.objective\n" in generated["reference/askaudio.ask.md"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the extra docs")
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not docs_pages.outside_loads(tmp_path / "site")
