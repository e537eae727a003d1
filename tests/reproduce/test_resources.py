"""reproduce/small/gathering/resources.py on a resource collection that is written here."""

import struct

from reproduce.small.gathering.resources import in_rcc

FOLDER, PLAIN, ZLIB = 2, 0, 1


def collection() -> bytes:
    """``/sounds/dog.ogg`` as it is and ``/sounds/cat.ogg`` compressed, in version 2 of the format."""
    names, places = b"", []
    for name in ("sounds", "dog.ogg", "cat.ogg"):
        places.append(len(names))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    files = [b"OggS dog", b"squeezed"]
    blob = b"".join(struct.pack(">I", len(file)) + file for file in files)
    head = 20
    tree = b"".join(
        struct.pack(">IHIIQ", name, flags, first, second, 0)
        for name, flags, first, second in (
            (0, FOLDER, 1, 1),  # the root: one child, node 1
            (places[0], FOLDER, 2, 2),  # sounds: two children from node 2 on
            (places[1], PLAIN, 0, 0),
            (places[2], ZLIB, 0, 4 + len(files[0])),
        )
    )
    return b"qres" + struct.pack(">4I", 2, head, head + len(tree), head + len(tree) + len(blob)) + tree + blob + names


def test_files_come_out_with_their_paths_and_compressed_ones_are_skipped():
    assert list(in_rcc(collection())) == [("sounds/dog.ogg", b"OggS dog")]


def test_truncated_or_foreign_bytes_yield_no_files():
    whole = collection()
    assert list(in_rcc(b"RIFF....")) == []
    for end in range(len(whole) - 40):
        found = list(in_rcc(whole[:end]))
        assert all(path.startswith("sounds") for path, _ in found)
