"""A drawing as a list of shapes, so that one chart gives the same picture as SVG and as pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Anchor = Literal["start", "middle", "end"]
_FONT = "font-family='sans-serif' font-size='12' fill='#222'"


@dataclass(frozen=True)
class Rect:
    """A filled rectangle; `says` is shown where a reader points at it."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    says: str = ""


@dataclass(frozen=True)
class Line:
    """A thin level line."""

    x: float
    y: float
    to_x: float
    colour: str


@dataclass(frozen=True)
class Text:
    """Words on a line of writing at `y`."""

    x: float
    y: float
    words: str
    anchor: Anchor = "start"
    bold: bool = False


Shape = Rect | Line | Text


@dataclass(frozen=True)
class Drawing:
    """Shapes on white, in the order of drawing."""

    title: str
    width: int
    height: int
    shapes: Sequence[Shape]


def svg(drawing: Drawing) -> bytes:
    """The drawing as SVG."""
    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {drawing.width} {drawing.height}' role='img'>",
        f"<title>{escape(drawing.title)}</title>",
        f"<rect width='{drawing.width}' height='{drawing.height}' fill='#ffffff'/>",
    ]
    out += [_element(shape) for shape in drawing.shapes]
    return ("\n".join([*out, "</svg>"]) + "\n").encode()


def _element(shape: Shape) -> str:
    if isinstance(shape, Line):
        return f"<path d='M{shape.x:.1f} {shape.y:.1f}H{shape.to_x:.1f}' stroke='{shape.colour}'/>"
    if isinstance(shape, Rect):
        box = (
            f"<rect x='{shape.x:.1f}' y='{shape.y:.1f}' width='{shape.width:.1f}'"
            f" height='{shape.height:.1f}' fill='{shape.colour}'"
        )
        return f"{box}><title>{escape(shape.says)}</title></rect>" if shape.says else f"{box}/>"
    anchor = "" if shape.anchor == "start" else f" text-anchor='{shape.anchor}'"
    bold = " font-weight='bold'" if shape.bold else ""
    return f"<text x='{shape.x:.1f}' y='{shape.y:.1f}'{anchor} {_FONT}{bold}>{escape(shape.words)}</text>"
