"""HTML in Python: elements whose text is escaped in one place, so that nothing from a file or a name becomes markup."""

from collections.abc import Iterable, Sequence
from html import escape

from backtest.report.words import printable

__all__ = ["Markup", "el", "escaped", "joined", "table"]

VOID = ("br", "hr", "img", "input", "meta")
Content = object


class Markup(str):
    """Text that is HTML already; made by `el`, `escaped` and `joined` alone."""

    __slots__ = ()


def escaped(content: Content) -> Markup:
    """Return anything as HTML text: markup as it is, None as nothing, all else escaped, what can't be seen as "?".

    >>> escaped("<img src=x onerror=alert(1)>"), escaped('a"b'), escaped(None)
    ('&lt;img src=x onerror=alert(1)&gt;', 'a&quot;b', '')
    """
    if isinstance(content, Markup):
        return content
    return Markup("" if content is None else escape(printable(content), quote=True))


def joined(parts: Iterable[Content], between: str = "") -> Markup:
    """Return the parts as one piece of HTML."""
    return Markup(escaped(between).join(escaped(part) for part in parts))


def el(tag: str, *content: Content, **attributes: object) -> Markup:
    """Return an element; of attributes, "_" is "-" and a trailing one is left out, None and False leave the attribute out.

    >>> el("td", "a & b", class_="n", data_trade=3, hidden=False)
    '<td class="n" data-trade="3">a &amp; b</td>'
    """
    pairs = [(name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items()]
    told = [f" {name}" if value is True else f' {name}="{escaped(value)}"' for name, value in pairs if is_given(value)]
    opening = f"<{tag}{''.join(told)}>"
    return Markup(opening if tag in VOID else f"{opening}{joined(content)}</{tag}>")


def is_given(value: object) -> bool:
    return value is not None and value is not False


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Content]],
    *,
    caption: str,
    left: Sequence[int] = (0,),
    class_: str | None = None,
    tall: bool = False,
) -> Markup:
    """Return a table in a frame that scrolls by itself: the first cell of a row is its header.

    left: columns of text, the others are numbers; a cell that is `td` or `th` markup stays as it is; tall: the frame has a
    largest height.
    """
    sides = ["l" if j in left else "n" for j in range(len(headers))]
    head = el("tr", *(el("th", text, scope="col", class_=side) for text, side in zip(headers, sides, strict=True)))
    body = joined(el("tr", *(cell(c, j, sides[j]) for j, c in enumerate(row))) for row in rows)
    inner = el("table", el("caption", caption), el("thead", head), el("tbody", body), class_=class_)
    frame = "frame tall" if tall else "frame"
    return el("div", inner, class_=frame, tabindex=0, role="region", aria_label=caption)


def cell(content: Content, column: int, side: str) -> Markup:
    if isinstance(content, Markup) and content.startswith(("<td", "<th")):
        return content
    return el("th", content, scope="row", class_=side) if column == 0 else el("td", content, class_=side)
