"""HTML that is safe by construction: what is no HTML yet is escaped where it enters an element."""

from __future__ import annotations

import html

from seqgpt.display import visible

_VOID = ("meta", "input", "br")


class Html(str):
    """What is HTML already, and is not escaped again."""

    __slots__ = ()


def escaped(words: object) -> Html:
    """Return any words as HTML that shows them: marks escaped, control characters visible, halves of characters as �.

    >>> escaped('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    if isinstance(words, Html):
        return words
    whole = str(words).encode("utf-8", "replace").decode("utf-8")
    return Html(html.escape(visible(whole)))


def element(name: str, /, *content: object, **attributes: object) -> Html:
    """Return an element; content and attributes are escaped unless they are :class:`Html`.

    Args:
        name: Its name.
        content: What stands in it, one after another.
        attributes: Those that are None or False are left out, and True ones have no value. ``class_`` and ``for_`` lose
            their last character, and ``_`` becomes ``-``.

    >>> element("p", "a < b", element("i", "c"), class_="x", hidden=True, data_n=None)
    '<p class="x" hidden>a &lt; b<i>c</i></p>'
    """
    opened = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        named = key.rstrip("_").replace("_", "-")
        opened.append(named if value is True else f'{named}="{escaped(value)}"')
    start = f"<{' '.join(opened)}>"
    return Html(start if name in _VOID else f"{start}{joined(*content)}</{name}>")


def joined(*content: object) -> Html:
    """Return pieces one after another, each escaped unless it is :class:`Html`."""
    return Html("".join(map(escaped, content)))
