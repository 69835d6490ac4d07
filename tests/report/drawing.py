"""Pictures as plain as can be, for tests of the page around them: rectangles below one another, with the ids of a real diagram."""

from __future__ import annotations

from html import escape

from netspec.analyses.outline import View


def plain(view: View) -> str:
    """A view as a column of rectangles; the title of an opened block is a line over the first box in it."""
    y, parts, titled = 10, [], set()
    for number, box in enumerate(view.boxes):
        around, group = [], box.group
        while group is not None:
            around.insert(0, group)
            group = view.groups[group].parent
        for group in around:
            if group not in titled:
                titled.add(group)
                parts.append(f'<g id="group-{group}" class="group"><text x="20" y="{y + 12}">{escape(view.groups[group].name)}</text></g>')
                y += 20
        name = escape(box.name)
        drawn = f'<rect x="20" y="{y}" width="200" height="24" fill="#eff6ff"/><text x="28" y="{y + 16}">{name}</text>'
        parts.append(f'<g id="box-{number}" class="box"><title>{name}</title>{drawn}</g>')
        y += 34
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="240pt" height="{y}pt" viewBox="0 0 240 {y}" role="img" aria-label="network">'
    return f'<?xml version="1.0"?>\n<!-- drawn -->\n{opening}{"".join(parts)}</svg>\n'
