"""Leads the short names that docstrings use to where they are explained.

A docstring says ``Revision``, ``Conflict`` or ``select``; the site explains them as
``behemoth.Revision``, ``behemoth.errors.Conflict`` and ``behemoth.Tickstore.select``. Names of
Python and pandas lead nowhere: building needs no network, so nothing is known of their sites.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PREFIXES = ("behemoth.", "behemoth.errors.", "behemoth.Tickstore.", "behemoth.BiTimestamp.")


def resolve(app: Sphinx, env: Any, node: Any, content: nodes.TextElement) -> nodes.Node | None:
    """Find a short name among the explained ones; leave it as text where it is nobody's of ours."""
    if node.get("refdomain") != "py":
        return None
    python = env.get_domain("py")
    last = node["reftarget"].rpartition(".")[2]
    for prefix in PREFIXES:
        if (name := prefix + last) in python.objects:
            return python.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)
    explicit = node["reftarget"].startswith("behemoth.") and node["reftype"] != "class"
    return None if explicit else content


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of it."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
