"""Text from records in a page: whatever it says, it is shown and never obeyed.

A page is MyST: `{download}` in a cell would carry a file of this machine into the site, `<script>` would run for every reader,
and `{{ }}` during the build. So text that is read from a file under `results/` enters a table or a caption through `literal`;
Markdown that a page needs is written around it.
"""

import re

ACTIVE = re.compile(r"[\\`*_{}\[\]<>$&|~^]")  # whatever opens mark-up inside a line of MyST
CODE = re.compile(r"&#(\d+);")


def literal(text: str) -> str:
    """`text` as Markdown that shows it, in one line: each character that could open mark-up is its number."""
    line = "".join(one if one.isprintable() else " " for one in text)
    return ACTIVE.sub(lambda found: f"&#{ord(found[0])};", line)


def unmarked(markdown: str) -> str:
    """A cell without its mark-up, for a file that is no page: the inverse of `literal`."""
    return CODE.sub(lambda found: chr(int(found[1])), markdown.replace("**", "").replace("`", ""))
