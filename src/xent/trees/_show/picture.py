"""A tree as an SVG picture.

Every node is a box with its class, its cases, a bar of its class distribution, and the column it
asks for; the answers stand below it.
"""

from html import escape

from xent._terminal import cut, width_of
from xent.trees._show.named import Named, Path, plain

NODE_WIDTH, HEIGHT, GAP = 150, 60, 34
LETTERS, BOLD = 26, 23  # that a box or a label is wide
OR_MISSING = " or missing"
LEGEND = 430  # at least so wide, for the line below the tree
CLASS_COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]
PALER = (0.0, 0.45, 0.7)  # share of white in the colours of classes 1-7, 8-14 and 15-21


def svg(named: Named) -> str:
    """Draw the tree, leaves side by side, each parent above the middle of its children."""
    tree = named.tree
    order = list(named.walk())
    place: dict[int, float] = {}
    next_leaf = 0
    for node, _, _, _ in reversed(order):
        if tree.feature[node] < 0:
            # Leaves come right to left here; they are mirrored below.
            place[node] = next_leaf
            next_leaf += 1
        else:
            first, width = int(tree.first[node]), int(tree.width[node])
            place[node] = (place[first] + place[first + width - 1]) / 2
    deep = max(depth for *_, depth in order) + 1
    wide = next_leaf * (NODE_WIDTH + 10)
    legend, below = _legend(named, wide, deep * (HEIGHT + GAP))
    full = (max(wide, LEGEND), below)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full[0]} {full[1]}" '
        f'width="{full[0]}" height="{full[1]}" font-family="sans-serif" font-size="10">'
    ]
    spot = {
        node: ((next_leaf - 1 - place[node]) * (NODE_WIDTH + 10) + 5, depth * (HEIGHT + GAP) + 5)
        for node, _, _, depth in order
    }
    labels, path = [], Path(named)
    for node, parent, branch, depth in order:
        path.back(depth)
        x, y = spot[node]
        if parent >= 0:
            a, b = spot[parent]
            words = named.answer(parent, branch, path, None)
            whole = f"{named.asks(parent)} {words}"
            path.down(parent, branch)
            out.append(
                f'<path d="M{a + NODE_WIDTH / 2} {b + HEIGHT} '
                f'L{x + NODE_WIDTH / 2} {y}" stroke="#999"/>'
            )
            # The white rim keeps the line away from the letters.
            labels.append(
                f'<text x="{x + NODE_WIDTH / 2}" y="{y - 6}" text-anchor="middle" stroke="#fff" '
                f'stroke-width="4" paint-order="stroke">{escape(_cut_answer(words))}'
                f"<title>{escape(whole)}</title></text>"
            )
        out.append(_box(named, node, x, y))
    return "\n".join([*out, *labels, legend, "</svg>"])


def _legend(named: Named, wide: float, top: float) -> tuple[str, float]:
    """Say what the numbers and the colours mean, below the tree; return where it ends, too."""
    says = "cases, and after the slash those of another class:" if named.classes else "cases"
    x, y = 6.0 + 5.5 * len(says), top + 14
    parts = [f'<text x="6" y="{y}" fill="#666">{says}</text>']
    for c, name in enumerate(map(plain, named.classes)):
        need = 24 + 6 * width_of(cut(name, LETTERS))
        if x + need > max(wide, LEGEND):
            x, y = 6.0, y + 16
        colour = _colour(c)
        parts.append(
            f'<rect x="{x}" y="{y - 8}" width="8" height="8" fill="{colour}"/>'
            f'<text x="{x + 12}" y="{y}">{_short(name)}</text>'
        )
        x += need
    if named.note:
        y += 16
        parts.append(f'<text x="6" y="{y}" fill="#666">{named.note}</text>')
    return "".join(parts), y + 10


def _box(named: Named, node: int, x: float, y: float) -> str:
    tree = named.tree
    inner = tree.feature[node] >= 0
    high = HEIGHT if inner else HEIGHT - 14
    parts = [
        f'<rect x="{x}" y="{y}" width="{NODE_WIDTH}" height="{high}" fill="#fff" stroke="#666"/>',
        f'<text x="{x + 6}" y="{y + 14}">{_short(named.says(node))}</text>',
        f'<text x="{x + 6}" y="{y + 27}" fill="#666">{_short(named.cases(node))}</text>',
    ]
    total = tree.stats[node].sum()
    if named.classes and total > 0:
        at = x + 6
        for c, n in enumerate(tree.stats[node]):
            wide = (NODE_WIDTH - 12) * n / total
            if wide > 0:
                colour = _colour(c)
                title = f"{escape(plain(named.classes[c]))}: {n:.6g}"
                parts.append(
                    f'<rect x="{at:.2f}" y="{y + 33}" width="{wide:.2f}" height="8" '
                    f'fill="{colour}"><title>{title}</title></rect>'
                )
            at += wide
    if inner:
        asks = named.asks(node)
        parts.append(
            f'<text x="{x + 6}" y="{y + 54}" font-weight="bold">{escape(cut(asks, BOLD))}'
            f"<title>{escape(asks)}</title></text>"
        )
    return "".join(parts)


def _colour(c: int) -> str:
    """Return the colour of a class: 21 differ, then they come again."""
    again, hue = divmod(c, len(CLASS_COLOURS))
    white = PALER[again % len(PALER)]
    parts = (int(CLASS_COLOURS[hue][i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(p + (255 - p) * white):02x}" for p in parts)


def _short(words: str) -> str:
    """Escape for XML, and cut what would not fit."""
    return escape(cut(words, LETTERS))


def _cut_answer(words: str) -> str:
    """Cut an answer; that it is the one for missing values too stays to be seen."""
    head, end = words.removesuffix(OR_MISSING), ""
    if head != words:
        end = OR_MISSING
    return cut(head, LETTERS - len(end)) + end
