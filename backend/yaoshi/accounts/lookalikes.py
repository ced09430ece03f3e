"""Which names look the same: confusable skeletons in the spirit of UTS #39 §4. Pure."""

import json
import unicodedata
from functools import cache
from importlib.resources import files

_ALPHABETS_WITH_TWINS = ("LATIN", "CYRILLIC", "GREEK", "CHEROKEE", "ARMENIAN", "COPTIC")


def skeleton(text: str) -> str:
    """Return what `text` looks like; two texts with one skeleton are confusable.

    Source: UTS #39 §4, with the pairs of the Unicode confusables table.
    """
    table = _representatives()
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFD", "".join(table.get(char, char) for char in decomposed))[:255]


def mixes_alphabets(name: str) -> bool:
    """Return whether letters of two alphabets that have twins stand in one name (`аdmin` with a Cyrillic а)."""
    found = {
        alphabet
        for char in name
        if char.isalpha()
        for alphabet in _ALPHABETS_WITH_TWINS
        if unicodedata.name(char, "").startswith((alphabet, f"FULLWIDTH {alphabet}"))
    }
    return len(found) > 1


@cache
def _representatives() -> dict[str, str]:
    """Return the stable representative of every character that has twins.

    The data names pairs in both directions, so pairs are joined to classes; a class is represented by its several
    small ASCII letters (rn for m) if it has such, else by one small letter, a capital, a sign, any other character.
    """
    pairs: dict[str, list[dict[str, str]]] = json.loads(
        (files("confusable_homoglyphs") / "confusables.json").read_text(encoding="utf-8")
    )
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = text = parent[parent[text]]
        return text

    for char, twins in pairs.items():
        for twin in twins:
            parent[root(char)] = root(twin["c"])
    best: dict[str, str] = {}
    for text in parent:
        best[root(text)] = min(best.get(root(text), text), text, key=_preference)
    return {text: best[root(text)] for text in parent if len(text) == 1 and best[root(text)] != text}


def _preference(text: str) -> tuple[bool, bool, bool, bool, str]:
    return not text.isascii(), not text.islower(), not text.isalpha(), len(text) == 1, text
