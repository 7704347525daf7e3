"""The documentation as a site: ``make docs`` builds it from the repository's own pages, README first.

A link to a page, a heading or a file that is not there is a warning, and ends the build.
"""

import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Stylize"
release = metadata.version("stylize-server")
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "examples/*.md", "stylize_client/*.md", "model_store/checkpoints/*.md"]
myst_heading_anchors = 4  # links to headings are checked, too
suppress_warnings = ["myst.header"]
html_theme = "furo"
html_title = f"Stylize {release}"
html_copy_source = False
html_favicon = "../service/web/icon.svg"

CONTENTS = """
```{toctree}
:hidden:
:glob:

docs/*
docs/*/*
examples/*
stylize_client/*
model_store/checkpoints/*
[A-Q]*
S*
```
"""


def setup(app: "Sphinx") -> None:
    """Give the README the list of all pages, and its address that of the site."""

    def add_contents(_app: "Sphinx", page: str, source: list[str]) -> None:
        if page == root_doc:
            source[0] += CONTENTS

    def copy_root(app: "Sphinx", error: Exception | None) -> None:
        if error is None:
            shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")

    app.connect("source-read", add_contents)
    app.connect("build-finished", copy_root)
