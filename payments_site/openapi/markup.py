"""Renders the subset of Markdown used in descriptions: headings, paragraphs, lists, code and emphasis."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

_INLINE = [
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![*\w])\*([^*]+)\*(?![*\w])"), r"<em>\1</em>"),
]


def to_html(text: str) -> SafeString:
    """``text`` as HTML; HTML inside it is escaped."""
    return mark_safe("\n".join(_blocks(text)))  # noqa: S308 - every block is escaped


def inline(text: str) -> SafeString:
    """One paragraph's text as HTML."""
    found = str(escape(text))
    for pattern, replacement in _INLINE:
        found = pattern.sub(replacement, found)
    return mark_safe(found)  # noqa: S308 - escaped above


def _blocks(text: str) -> Iterator[str]:
    for number, part in enumerate(re.split(r"^```\w*\n", text, flags=re.MULTILINE)):
        if number % 2:
            yield f"<pre><code>{escape(part.rstrip())}</code></pre>"
            continue
        for block in re.split(r"\n\s*\n", part.strip()):
            lines = block.splitlines()
            if not lines:
                continue
            if block.startswith("## "):
                title = lines[0][3:]
                yield f'<h2 id="{slugify(title)}">{inline(title)}</h2>'
            elif all(line.startswith("- ") for line in lines):
                yield "<ul>" + "".join(f"<li>{inline(line[2:])}</li>" for line in lines) + "</ul>"
            else:
                yield f"<p>{inline(' '.join(lines))}</p>"
