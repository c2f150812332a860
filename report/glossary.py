"""An extension of Sphinx: a link to a word of the glossary carries its meaning, and the first cell of a row is its head."""

import html
import re
from collections.abc import Mapping
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PAGE = "book/how_to_read"  # where the glossary stands
LINK = re.compile(r'<a class="reference internal" href="[^"]*#(term-[\w-]+)"')
# What a reader of tables by ear is told with each cell.
HEADS = {'<th class="head"': '<th class="head" scope="col"', '<th class="stub"': '<th class="stub" scope="row"'}
HEADS |= {'<th class="head stub"': '<th class="head stub" scope="col"'}
# A role that its children do not have: docutils gives lists of citations the one and not the other.
LIST = 'role="list" class="citation-list"'


def meanings(page: nodes.document) -> dict[str, str]:
    """What the words of a page's glossaries mean, by the anchors that links lead to."""
    items = page.findall(nodes.definition_list_item)
    return {
        id_: item[-1].astext().replace("\n", " ")
        for item in items
        for term in item.findall(nodes.term)
        for id_ in term["ids"]
    }


def explain(app: Sphinx, name: str, template: str, context: dict[str, Any], page: nodes.document | None) -> None:
    """Put meanings at the links of a page that is about to be written."""
    if page is not None:
        said = meanings(app.env.get_doctree(PAGE))
        body = LINK.sub(lambda link: f'{link[0]} data-said="{html.escape(said[link[1]])}"', context["body"])
        for plain, scoped in HEADS.items():
            body = body.replace(plain, scoped)
        context["body"] = body.replace(LIST, 'class="citation-list"')


def head(app: Sphinx, page: nodes.document) -> None:
    """Make the first cell of each row of a table its head."""
    for column in page.findall(nodes.colspec):
        if column.parent.index(column) == 0:
            column["stub"] = 1


def setup(app: Sphinx) -> Mapping[str, bool]:
    """How Sphinx takes an extension in."""
    app.connect("doctree-read", head)
    app.connect("html-page-context", explain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
