# SPDX-License-Identifier: GPL-2.0
"""How Sphinx builds these pages; `make doc` runs it."""

project = "tdx-pages"
author = "The tdx-pages developers"
extensions = []
exclude_patterns = ["output"]
html_theme = "alabaster"
html_copy_source = False
html_theme_options = {"page_width": "1100px", "description": "Who owns which page, and proves it"}
smartquotes = False
