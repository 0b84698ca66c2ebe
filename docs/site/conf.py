"""How Sphinx makes the site of `make site`; `build.py` beside this lays out what it reads."""

import re
from importlib.metadata import version as version_of

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

project = "xent"
author = copyright = "xent maintainers"
release = version = version_of("xent")
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "html_image", "colon_fence"]
myst_heading_anchors = 4
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
nitpicky = False

numpydoc_show_class_members = False
numpydoc_xref_param_type = False
autodoc_typehints = "none"  # the docstring says the types, in words
autodoc_member_order = "bysource"
# scikit-learn writes these itself; their docstrings refer to its own site.
REQUESTS = ("fit", "partial_fit", "predict", "predict_proba", "predict_log_proba", "score")
autodoc_default_options = {"exclude-members": ", ".join(f"set_{of}_request" for of in REQUESTS)}
default_role = "code"  # in docstrings, `name` is code as it is everywhere else

html_theme = "pydata_sphinx_theme"
html_title = "xent"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Lexers that have no word for a shell's output, or a table of our own.
suppress_warnings = ["misc.highlighting_failure"]


def formula(self, node):
    """Write a formula as MathML, which browsers show by themselves: the site needs no network."""
    display = isinstance(node, nodes.math_block)
    text = re.sub(r"\\dots(?![a-z])", r"\\ldots", node.astext()).replace(r"\tfrac", r"\frac")
    found = tex2mathml(text, as_block=display)  # which knows neither \dots nor \tfrac
    self.body.append(f'<div class="formula">{found}</div>' if display else found)
    raise nodes.SkipNode


def plain_bars(app, what, name, obj, options, lines):
    """Let |x| in a docstring be an absolute value, and not a name to be replaced."""
    for at, line in enumerate(lines):
        if line.startswith("Examples"):
            break
        lines[at] = "``".join(
            part if odd % 2 else part.replace("|", r"\|")
            for odd, part in enumerate(line.split("``"))
        )


def setup(app):
    app.connect("autodoc-process-docstring", plain_bars, priority=400)  # before numpydoc
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
    app.config.html_math_renderer = "mathml"
