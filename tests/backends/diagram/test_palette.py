"""Colours: what is written can be read, on a light page and on a dark one."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from netspec import load
from netspec.analyses.outline import outline
from netspec.backends.diagram import palette
from netspec.backends.diagram.cards.sketch import sketch
from netspec.backends.diagram.look import Look
from netspec.backends.diagram.palette import DARK, FAMILIES, GROUPS, SCALE

#: text and what it stands on
PAIRS = [
    (palette.INK, palette.PAGE), (palette.INK, palette.CARD), (palette.INK, palette.FOLDED), (palette.INK, palette.PORT_GROUND),
    (palette.TEXT, palette.CARD), (palette.TEXT, palette.FOLDED), (palette.TEXT, palette.PAGE), (palette.GREY, palette.CARD),
    (palette.GREY, palette.FOLDED), (palette.GREY, palette.PAGE), (palette.PORT_TEXT, palette.PORT), (palette.SKIP, palette.SKIP_GROUND),
    (palette.SKIP, palette.PAGE), (palette.MERGE_INK, palette.MERGE), (palette.BADGE, palette.FOLDED), (palette.FLOW, palette.PAGE),
    *((ink, ground) for ink in (palette.INK, palette.GREY, palette.BADGE, palette.FLOW) for ground in GROUPS),
    *((found.ink, found.tint) for found in FAMILIES.values()), *((palette.TEXT, found.tint) for found in FAMILIES.values()),
    *((palette.INK, step) for step in SCALE), *((found.ink, palette.PAGE) for found in FAMILIES.values()),
]  # fmt: skip


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.1."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast by WCAG 2.1, 1 to 21."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("ink, ground", PAIRS)
def test_text_can_be_read(ink: str, ground: str) -> None:
    assert contrast(ink, ground) >= 4.5
    assert contrast(DARK[ink], DARK[ground]) >= 4.5


def test_every_light_colour_has_one_dark_one() -> None:
    drawn: set[str] = set()
    for spec, look in (("zoo.unet:unet", Look()), ("zoo.recurrent:peephole_lstm", Look()), ("zoo.resnet:resnet50", Look(heat="macs"))):
        drawn |= set(re.findall(r"#[0-9a-f]{6}", sketch(outline(load(spec).graph).view(), look).dot))
    assert drawn and drawn <= set(DARK)


def test_a_heat_scale_grows_darker_on_paper_and_brighter_on_a_screen_by_night() -> None:
    light, dark = [luminance(step) for step in SCALE], [luminance(DARK[step]) for step in SCALE]
    assert light == sorted(light, reverse=True) and dark == sorted(dark)


def test_families_are_told_apart() -> None:
    inks = [found.ink for found in FAMILIES.values()]
    assert len(set(inks)) == len(inks) and len({found.words for found in FAMILIES.values()}) == len(FAMILIES)
    for one, other in combinations(FAMILIES.values(), 2):
        assert one.tint != other.tint
