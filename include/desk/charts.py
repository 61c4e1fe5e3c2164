"""Charts as SVG pictures without scripts, drawn by pygal; every chart is a table beside it as well.

A picture is an answer of its own: pygal styles it from inside, which the pages' strict policy would refuse.
"""

from collections.abc import Mapping, Sequence
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
_INK = {"light": "#1b2430", "dark": "#e7ecf2"}


def bars(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    theme: str,
    is_share: bool = False,
) -> bytes:
    """Horizontal bars, the first label on top; `theme` is light, dark or auto (the reader's own)."""
    import pygal

    chart = pygal.HorizontalBar(
        **_look(theme) | {"print_zeroes": True},
        title=title,
        height=90 + 22 * len(labels) * len(series),
        show_legend=len(series) > 1,
        value_formatter=_share if is_share else _count,
    )
    chart.x_labels = list(reversed(labels))
    for name, values in series.items():
        chart.add(name, list(reversed(values)))
    return _rendered(chart)


def stacked(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    theme: str,
    colours: Sequence[str] = _COLOURS,
) -> bytes:
    """Horizontal bars whose parts add up, the first label on top."""
    import pygal

    chart = pygal.HorizontalStackedBar(
        **_look(theme, colours), title=title, height=110 + 26 * len(labels), value_formatter=_count
    )
    chart.x_labels = list(reversed(labels))
    for name, values in series.items():
        chart.add(name, list(reversed(values)))
    return _rendered(chart)


def _look(theme: str, colours: Sequence[str] = _COLOURS) -> dict[str, Any]:
    from pygal.style import Style

    ink = _INK.get(theme, _INK["light"])
    style = Style(
        background="transparent", plot_background="transparent", foreground=ink, foreground_strong=ink,
        foreground_subtle=ink, opacity="1", colors=tuple(colours), font_family=_FONT, label_font_size=13,
        major_label_font_size=13, value_font_size=12, value_colors=(ink,) * len(colours), legend_font_size=13,
        title_font_size=15,
    )  # fmt: skip
    dark = _INK["dark"]
    follow = (
        "@media (prefers-color-scheme: dark) {"
        f" text {{ fill: {dark} !important; }} .line {{ stroke: {dark} !important; }} }}"
    )
    return {
        "style": style,
        "js": [],
        "css": ["file://style.css", "file://graph.css", *([f"inline:{follow}"] if theme == "auto" else [])],
        "width": 760,
        "print_values": True,
        "print_zeroes": False,
        # pygal turns the axes: these are the figures, which stand on the bars already
        "show_x_labels": False,
        "show_x_guides": False,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 3,
        "truncate_label": 24,
        "truncate_legend": 24,
        "no_data_text": "–",
    }


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
