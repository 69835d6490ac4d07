"""The colours of diagrams: one ink and one tint for each family of operators, and a dark counterpart for every light one.

A picture is drawn in the light colours; `DARK` says what each becomes on a dark page. All inks reach a contrast of 4.5 to 1 on the
grounds on which they stand (WCAG 2.1, level AA), in both; what an operator is stands in words as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from netspec.record import record


@record
class Family:
    """How operators of a family look: `ink` for their names and edge, `tint` behind them; `words` is what the legend calls them."""

    words: str
    ink: str
    tint: str


FAMILIES: Mapping[str, Family] = {
    "io": Family("source", "#334155", "#f1f5f8"),
    "conv": Family("convolution", "#1d4ed8", "#eff6ff"),
    "norm": Family("normalization", "#92400e", "#fef7e0"),
    "activation": Family("activation", "#c2410c", "#fff4ed"),
    "pool": Family("pooling", "#0f766e", "#effcf9"),
    "upsample": Family("upsampling", "#0e7490", "#e9fbfe"),
    "linear": Family("linear", "#6d28d9", "#f5f2ff"),
    "attention": Family("attention", "#be185d", "#fdf2f8"),
    "recurrent": Family("recurrence", "#15803d", "#effdf3"),
    "merge": Family("merging", "#854d0e", "#fdf9d8"),
    "reshape": Family("reshaping", "#475569", "#f4f6f9"),
    "regularizer": Family("regularization", "#5b6b82", "#f9fafc"),
}
#: for a family that is not there
OTHER = Family("other", "#475569", "#f4f6f9")

PAGE = "#ffffff"  # behind everything
CARD = "#fefefe"  # a card
SHEET = "#eef2f7"  # the sheets under a card that stands for several
FOLDED = "#f3f6fb"  # the head of a folded block
LINE = "#64748b"  # the frame of a card
INK = "#0f172a"  # what is read first
TEXT = "#334154"  # arguments
GREY = "#5a687d"  # what is read last
FLOW = "#475568"  # links
SKIP = "#b45309"  # links past other boxes, and their labels
BADGE = "#b91c1c"  # how often
PORT = "#334156"  # the head of an input or output
PORT_TEXT = "#fefeff"  # what stands on it
PORT_GROUND = "#f1f5f9"  # its body
GROUP_LINE = "#94a3b8"  # the frame of an opened block …
GROUPS = ("#f8fafc", "#f0f4f9", "#e8eef5")  # … and its ground, by depth
MERGE = "#fde68a"  # a merge's circle
MERGE_LINE = "#92400f"
MERGE_INK = "#78350f"
SKIP_GROUND = "#fffbeb"  # behind the label of a skip
ADDED, REMOVED, CHANGED = "#166534", "#b91c1d", "#a16207"  # what became of a layer between two networks …
ADDED_GROUND, REMOVED_GROUND, CHANGED_GROUND = "#ecfdf3", "#fef2f2", "#fefce8"  # … and the ground of its row
BAR = "#3b82f6"  # a share …
BAR_GROUND = "#e2e8f0"  # … of a whole

#: the bars of feature maps: deeper than tints, because they bear no words
BARS: Mapping[str, str] = {
    "io": "#e2e8f1", "conv": "#bfdbfe", "norm": "#fde9b0", "activation": "#fed7aa", "pool": "#b4efe4", "upsample": "#a5f0fb",
    "linear": "#ddd6fe", "attention": "#fbcfe8", "recurrent": "#bbf7d0", "merge": "#fdf0a0", "reshape": "#d9e0ea",
    "regularizer": "#e7ebf1",
}  # fmt: skip

#: a sequential scale, light to dark, on each of which `INK` can be read (after ColorBrewer's Oranges, which all eyes tell apart)
SCALE = ("#fff5eb", "#feead6", "#fedcb9", "#fdc794", "#fdb06c", "#fd9a48", "#f9862f", "#f17218")

DARK: Mapping[str, str] = {
    PAGE: "#0b1120", CARD: "#131c2e", SHEET: "#24324a", FOLDED: "#1d2a40", LINE: "#7486a0", INK: "#f1f5f9", TEXT: "#cbd5e1",
    GREY: "#9fb0c6", FLOW: "#94a3b9", SKIP: "#fbbf24", BADGE: "#fca5a5", PORT: "#cbd5e2", PORT_TEXT: "#0f1729",
    PORT_GROUND: "#1b2740", GROUP_LINE: "#54657f", GROUPS[0]: "#101a2d", GROUPS[1]: "#15213a", GROUPS[2]: "#1b2a46",
    MERGE: "#713f12", MERGE_LINE: "#fcd34d", MERGE_INK: "#fef3c7", SKIP_GROUND: "#2b1f0e", BAR: "#60a5fb", BAR_GROUND: "#2b3a54",
    "#f1f5f8": "#1a2537", "#eff6ff": "#13233f", "#1d4ed8": "#93c5fd", "#fef7e0": "#2b220f", "#92400e": "#fcd34e",
    "#fff4ed": "#301c12", "#c2410c": "#fdba74", "#effcf9": "#0f2a2a", "#0f766e": "#5eead4", "#e9fbfe": "#0d2a35",
    "#0e7490": "#67e8f9", "#f5f2ff": "#221a3d", "#6d28d9": "#c4b5fd", "#fdf2f8": "#331527", "#be185d": "#f9a8d4",
    "#effdf3": "#10291b", "#15803d": "#86efac", "#fdf9d8": "#2a260f", "#854d0e": "#fde047", "#f4f6f9": "#1a2436",
    "#475569": "#b6c2d2", "#f9fafc": "#151f30", "#5b6b82": "#a9b7c9", "#334155": "#d5dde8",
    "#e2e8f1": "#334157", "#bfdbfe": "#1e407e", "#fde9b0": "#5c430f", "#fed7aa": "#6d3211", "#b4efe4": "#115049",
    "#a5f0fb": "#114e5f", "#ddd6fe": "#45289a", "#fbcfe8": "#7d1648", "#bbf7d0": "#155230", "#fdf0a0": "#5f4c0e",
    "#d9e0ea": "#36435a", "#e7ebf1": "#2d394e",
    ADDED: "#86efad", REMOVED: "#fca5a6", CHANGED: "#facc15",
    ADDED_GROUND: "#10291c", REMOVED_GROUND: "#331619", CHANGED_GROUND: "#2a2410",
    "#fff5eb": "#2a1c12", "#feead6": "#3a2411", "#fedcb9": "#4b2c10", "#fdc794": "#5d340e", "#fdb06c": "#703c0c",
    "#fd9a48": "#83440a", "#f9862f": "#964b08", "#f17218": "#a95306",
}  # fmt: skip


def family(name: str) -> Family:
    """How the operators of that family look."""
    return FAMILIES.get(name, OTHER)
