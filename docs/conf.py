"""How Sphinx makes the site out of these pages; `scripts/docs` calls it.

The pages are Markdown, so that they read well where the code is kept too. What has no words of its
own, the commands' options for one, is drawn from the code by the extensions in `_site/`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from behemoth import __version__

sys.path.insert(0, str(Path(__file__).parent / "_site"))

project = "Behemoth"
author = "The Behemoth authors"
project_copyright = "Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "commands",
    "names",
]
exclude_patterns = ["_site"]
nitpicky = True  # a name that leads nowhere is an error, as any warning is; `names` knows which do

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

default_role = "py:obj"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("AsOf", "Bound", "Date", "Mode", "Progress")}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = f"Behemoth {__version__}"
html_static_path = ["_site/static"]
html_css_files = ["behemoth.css"]
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "logo": {"text": "Behemoth"},
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars: dict[str, list[str]] = {"index": [], "tutorial": [], "changelog": [], "concepts": []}
