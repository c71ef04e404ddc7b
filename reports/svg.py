"""SVG as matplotlib writes it, made fit for a file of its own and for a place inside a page."""

import re
import xml.etree.ElementTree as ET

from reports.palette import DARK, css_variable

__all__ = ["inline_svg", "standalone_svg"]

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LONG_NUMBER = re.compile(r"-?[0-9]+\.[0-9]{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")

ET.register_namespace("", _SVG)
ET.register_namespace("xlink", _XLINK)


def _parse(svg: str) -> ET.Element:
    # The text comes from matplotlib, never from a user's file.
    return ET.fromstring(svg)  # noqa: S314


def standalone_svg(svg: str) -> str:
    """Drop the metadata (it holds a date and a tool version) and the style sheet of a drawing, and
    digits of its paths that nobody can see."""
    root = _parse(svg)
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata":
            root.remove(child)
    for defs in root.findall(f"{{{_SVG}}}defs"):
        for style in defs.findall(f"{{{_SVG}}}style"):
            # It selects `*`: inside a page it would reach everything. The root's style inherits.
            defs.remove(style)
            root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
        if not len(defs):
            root.remove(defs)
    for element in root.iter(f"{{{_SVG}}}path"):
        # A hundredth of a point is finer than any screen or printer.
        element.set("d", _LONG_NUMBER.sub(_rounded, element.get("d", "")))
    return ET.tostring(root, encoding="unicode") + "\n"


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")


def inline_svg(svg: str, key: str, label: str) -> str:
    """Return `svg` for a place inside an HTML page.

    Its ids get `key` in front, because a page holds many drawings with the same ones; colours
    become CSS variables with the colour as fallback, so that the page's dark scheme reaches them.
    """
    root = _parse(svg)
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id":
                element.set(name, f"{key}-{value}")
            elif name in {"href", f"{{{_XLINK}}}href"} and value.startswith("#"):
                element.set(name, f"#{key}-{value[1:]}")
            else:
                value = _REFERENCE.sub(rf"url(#{key}-\1)", value)
                if name == "style":
                    value = _COLOUR.sub(_themed, value)
                element.set(name, value)
    root.set("role", "img")
    root.set("aria-label", label)
    return ET.tostring(root, encoding="unicode")


def _themed(match: re.Match[str]) -> str:
    colour = match.group()
    return f"var({css_variable(colour)}, {colour})" if colour in DARK else colour
