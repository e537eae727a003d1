"""Names of the Universal Category System, over the whole published list."""

from __future__ import annotations

import pytest

from askaudio.ingest.ucs import cat_ids, read_ucs_name


def test_the_list_is_whole() -> None:
    assert len(cat_ids()) == 683  # 656 of version 8.0, one of them in two spellings, and the additions of 8.2.1
    categories = {category for category, _ in cat_ids().values()}
    assert len(categories) == 82
    assert len(set(cat_ids().values())) == 682  # EQUISprt and EQUIPSprt are the same


def test_every_cat_id_of_the_list_is_read_as_the_list_has_it() -> None:
    for cat_id, (category, subcategory) in cat_ids().items():
        facts = read_ucs_name(f"{cat_id}-EXT_Some Title_AB_Library_take 1")
        assert facts == {
            "cat_id": cat_id, "category": category, "subcategory": subcategory, "user_category": "EXT",
            "title": "Some Title", "creator": "AB", "library": "Library",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("cat_id", "category", "subcategory"),
    [
        ("COMTelph", "communications", "telephone"),
        ("CMPTKey", "computers", "keyboard & mouse"),
        ("MAGSpel", "magic", "spell"),
        ("LIQBubl", "liquid & mud", "bubbles"),
        ("WHSTHmn", "whistles", "human"),
        ("WHSH", "swooshes", "whoosh"),
        ("SWSH", "swooshes", "swish"),
        ("VEGELeaf", "vegetation", "leaves"),
        ("DESTRCrsh", "destruction", "crash & debris"),
        ("LETHRCreak", "leather", "creak"),
        ("THUN", "weather", "thunder"),
        ("RAIN", "rain", "general"),
        ("RAINConc", "rain", "concrete"),
        ("IR", "archived", "impulse response"),
        ("AMBUndwtr", "ambience", "underwater"),
        ("UIMvmt", "user interface", "motion"),
        ("MOVEMisc", "movement", "misc"),
        ("VEHTruck", "vehicles", "truck van & suv"),
    ],
)
def test_cat_ids_of_the_published_list(cat_id: str, category: str, subcategory: str) -> None:
    assert cat_ids()[cat_id] == (category, subcategory)


@pytest.mark.parametrize(
    ("stem", "facts"),
    [
        ("DOORWood_Creaky Cellar Door_AB_MyLib_take3",
         {"cat_id": "DOORWood", "category": "doors", "subcategory": "wood", "title": "Creaky Cellar Door",
          "creator": "AB", "library": "MyLib"}),
        ("AMBForst-DAWN_Birds_AB_Lib", {"cat_id": "AMBForst", "category": "ambience", "subcategory": "forest",
                                        "user_category": "DAWN", "title": "Birds", "creator": "AB", "library": "Lib"}),
        ("WATRWave_Sea", {"cat_id": "WATRWave", "category": "water", "subcategory": "wave", "title": "Sea"}),
        ("DOORVault_Bank", {"cat_id": "DOORVault", "category": "doors", "subcategory": "vault", "title": "Bank"}),
        ("door_creak", {}),
        ("DOOR_x", {}),
        ("DOORWood", {}),
        ("DOORWood_ _AB_Lib", {}),
        ("RAINBOW_x", {}),
        ("TEST_1", {}),
        ("MIX_final_2", {}),
        ("DSC01234_x", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_ucs_names(stem: str, facts: dict[str, str]) -> None:
    assert read_ucs_name(stem) == facts
