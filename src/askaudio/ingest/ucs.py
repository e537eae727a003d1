"""File names of the Universal Category System: ``DOORWood_Creaky Cellar Door_AB_MyLibrary_take3.wav``.

The name begins with a CatID: a category in capitals and a subcategory ("DOOR" + "Wood"), then the title, the creator
and the source. Category codes are those of UCS 8 (https://universalcategorysystem.com, public domain).
"""

from __future__ import annotations

import re

from askaudio.core.types import Json

CATEGORIES = {
    "AERO": "aircraft", "AIR": "air", "ALRM": "alarm", "AMB": "ambience", "ANML": "animal", "ARCHV": "archived",
    "BEEP": "beep", "BELL": "bell", "BIRD": "bird", "BLLT": "bullet", "BOAT": "boat", "CERM": "ceramic",
    "CHAIN": "chain", "CHEM": "chemical", "CLOCK": "clock", "CLOTH": "cloth", "COMM": "communication",
    "COMP": "computer", "CREA": "creature", "CRWD": "crowd", "DEST": "destruction", "DIRT": "dirt", "DOOR": "door",
    "DRWR": "drawer", "DSGN": "designed", "ELEC": "electricity", "EQUIP": "equipment", "EXPL": "explosion",
    "FART": "fart", "FEET": "footstep", "FGHT": "fight", "FIRE": "fire", "FOLY": "foley", "FOOD": "food",
    "FRWK": "firework", "GAME": "game", "GEO": "geothermal", "GLAS": "glass", "GORE": "gore", "GUN": "gun",
    "HMN": "human", "HORN": "horn", "ICE": "ice", "LASR": "laser", "LETH": "leather", "LIQD": "liquid",
    "MACH": "machine", "MAGC": "magic", "MECH": "mechanical", "METL": "metal", "MOTR": "motor", "MOVE": "movement",
    "MUSC": "musical", "NATD": "natural disaster", "OBJ": "object", "PAPR": "paper", "PLAS": "plastic",
    "RAIN": "rain", "ROBT": "robot", "ROCK": "rock", "ROPE": "rope", "RUBR": "rubber", "SCI": "science fiction",
    "SNOW": "snow", "SPRT": "sport", "SWSH": "swoosh", "TOOL": "tool", "TOON": "cartoon", "TOY": "toy",
    "TRN": "train", "UI": "user interface", "VEG": "vegetation", "VEH": "vehicle", "VOX": "voice", "WATR": "water",
    "WEAP": "weapon", "WHSH": "whoosh", "WHSTL": "whistle", "WIND": "wind", "WING": "wing", "WNDW": "window",
    "WOOD": "wood", "WTHR": "weather",
}  # fmt: skip


def read_ucs_name(stem: str) -> Json:
    """What a file name says by the rules of UCS.

    Args:
        stem: The name without folder and suffix.

    Returns:
        cat_id, category, subcategory, user_category, title, creator, library as far as they are there; empty when the
        name does not begin with a CatID.
    """
    fields = stem.split("_")
    found = _split_cat_id(fields[0])
    if found is None or len(fields) < 2 or not fields[1].strip():
        return {}
    category, subcategory, extra = found
    facts = {
        "cat_id": fields[0].split("-")[0],
        "category": CATEGORIES[category],
        "subcategory": subcategory,
        "user_category": extra,
        "title": fields[1],
        "creator": fields[2] if len(fields) > 2 else "",
        "library": fields[3] if len(fields) > 3 else "",
    }
    return {key: text.strip() for key, text in facts.items() if text and text.strip()}


def _split_cat_id(text: str) -> tuple[str, str, str] | None:
    """DOORWood-USER -> (DOOR, Wood, USER): the longest known code in capitals, then a capital and more."""
    cat_id, _, extra = text.partition("-")
    for length in range(5, 1, -1):
        code, rest = cat_id[:length], cat_id[length:]
        if code in CATEGORIES and re.fullmatch(r"[A-Z][A-Za-z0-9]{1,7}", rest):
            return code, rest, extra
    return None
