"""Charts as SVG pictures without scripts, drawn by pygal; every chart is a table beside it as well.

A picture is an answer of its own: pygal styles it from inside, which the pages' strict policy would refuse.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

#: The policy of a picture: its own styles, nothing else, and no script should one ever get in.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_SVG = "{http://www.w3.org/2000/svg}"
_FONT = '"Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif'
#: Each colour has a contrast of at least 3 : 1 against both grounds (WCAG 1.4.11).
_COLOURS = ("#2f7bd0", "#d0651a", "#2f8f5b", "#b0459d", "#8a7a1f", "#6b7684")
#: What is well, what is under way, what is late: for bars of verdicts in this order.
VERDICTS = (_COLOURS[2], _COLOURS[0], _COLOURS[1])
_GROUND = {"light": "#ffffff", "dark": "#1b222b"}
#: A figure on a bar; the names that nothing has outweigh pygal's own rule.
_FIGURE = "text.value:not(#none):not(#nothing)"
_LABEL_SIZE = 13
#: A part of a bar smaller than this share of the longest has no room for its figure.
_TINY = 0.06
_MARGIN, _LEGEND_ROW = 8, 22
_INK = {"light": "#1b2430", "dark": "#e7ecf2"}


@dataclass(frozen=True)
class Look:
    """Whom a chart is drawn for: theme light, dark or auto (the reader's own), and whether on a telephone."""

    theme: str
    is_narrow: bool = False


def bars(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    look: Look,
    is_share: bool = False,
) -> bytes:
    """Horizontal bars, the first label on top."""
    import pygal

    chart = pygal.HorizontalBar(
        **_look(look, labels) | _legend(series, look) | {"print_zeroes": True},
        title=title,
        height=90 + 22 * len(labels) * len(series) + _legend_height(series, look),
        show_legend=len(series) > 1,
        value_formatter=_share if is_share else _count,
    )
    chart.x_labels = _labels(labels, look)
    for name, values in series.items():
        chart.add(name, list(reversed(values)))
    return _rendered(chart)


def stacked(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    look: Look,
    colours: Sequence[str] = _COLOURS,
) -> bytes:
    """Horizontal bars whose parts add up, the first label on top."""
    import pygal

    chart = pygal.HorizontalStackedBar(
        **_look(look, labels, colours),
        **_legend(series, look),
        title=title,
        height=90 + 26 * len(labels) + _legend_height(series, look),
        value_formatter=_count,
    )
    chart.x_labels = _labels(labels, look)
    most = max((sum(each or 0 for each in bar) for bar in zip(*series.values(), strict=True)), default=0)
    for name, values in series.items():
        chart.add(name, [_part(value, most) for value in reversed(values)])
    return _rendered(chart)


def _part(value: float | None, most: float) -> Any:
    """A part of a bar; its figure is left out where there is no room for it."""
    is_tiny = value is not None and value < most * _TINY
    return {"value": value, "formatter": lambda _: ""} if is_tiny else value


def _labels(labels: Sequence[str], look: Look) -> list[str]:
    """The labels beside the axis, shortened to the room there is, in pygal's order."""
    room = 16 if look.is_narrow else 24
    return [label if _width(label) <= room else _cut(label, room) for label in reversed(labels)]


def _cut(label: str, room: float) -> str:
    while _width(label) >= room:
        label = label[:-1]
    return f"{label.rstrip()}…"


def _legend_height(series: Mapping[str, Sequence[float | None]], look: Look) -> int:
    rows = -(-len(series) // _columns(series, look))
    return _LEGEND_ROW * rows if len(series) > 1 else 0


def _legend(series: Mapping[str, Sequence[float | None]], look: Look) -> dict[str, Any]:
    columns = _columns(series, look)
    # pygal leaves no room for a last row that is not full
    missing = _LEGEND_ROW if len(series) % columns else 0
    return {"legend_at_bottom": True, "legend_at_bottom_columns": columns, "margin_bottom": _MARGIN + missing}


def _columns(series: Mapping[str, Sequence[float | None]], look: Look) -> int:
    return 1 if look.is_narrow else max(1, min(3, len(series)))


def _look(look: Look, labels: Sequence[str], colours: Sequence[str] = _COLOURS) -> dict[str, Any]:
    from pygal.style import Style

    theme, ink = look.theme, _INK.get(look.theme, _INK["light"])
    style = Style(
        background="transparent", plot_background="transparent", foreground=ink, foreground_strong=ink,
        foreground_subtle=ink, opacity="1", colors=tuple(colours), font_family=_FONT, label_font_size=_LABEL_SIZE,
        major_label_font_size=_LABEL_SIZE, value_font_size=12, value_colors=(ink,) * len(colours), legend_font_size=13,
        title_font_size=15,
    )  # fmt: skip
    dark = _INK["dark"]
    follow = (
        "@media (prefers-color-scheme: dark) {"
        f" text {{ fill: {dark} !important; }} .line {{ stroke: {dark} !important; }}"
        f" {_FIGURE} {{ stroke: {_GROUND['dark']} !important; }} }}"
    )
    # a figure is read on any bar and beside it: it stands in a rim of the ground
    ground = _GROUND.get(theme, _GROUND["light"])
    rim = f"{_FIGURE} {{ stroke: {ground} !important; stroke-width: 3px; paint-order: stroke; }}"
    return {
        "style": style,
        "js": [],
        "css": [
            "file://style.css",
            "file://graph.css",
            f"inline:{rim}",
            *([f"inline:{follow}"] if theme == "auto" else []),
        ],
        "width": 380 if look.is_narrow else 760,
        "margin": _MARGIN,
        "margin_left": _MARGIN + _widened(_labels(labels, look)),
        "print_values": True,
        "print_zeroes": False,
        # pygal turns the axes: these are the figures, which stand on the bars already
        "show_x_labels": False,
        "show_x_guides": False,
        "truncate_legend": 24,
        "no_data_text": "–",
    }


def _width(label: str) -> float:
    """How wide a label is, in letters; a Chinese character takes nearly two."""
    return sum(1.7 if unicodedata.east_asian_width(each) in "WF" else 1 for each in label)


def _widened(labels: Sequence[str]) -> float:
    """The room pygal does not leave beside its axis: it takes a Chinese character for as narrow as a letter."""
    return max((_width(label) - len(label) for label in labels), default=0) * 0.6 * _LABEL_SIZE


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _rendered(chart: Any) -> bytes:
    """The SVG without pygal's script, which serves its tooltips."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("script", f"{_SVG}script"):
                parent.remove(child)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
