"""The pipelines and sample data that come with datakit: inside the wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

from datakit.errors import ConfigError

GITIGNORE = """\
# What datakit makes: all of it comes again from the pipelines and the source files.
/store/
/adapters/
/exports/
/.datakit-cache/
report*.html
report*.card.md
"""
"""Written into a new project: data and models stay out of version control."""


def shipped(name: str) -> Path:
    """The folder `pipelines` or `sample_data` as it came with datakit."""
    package = Path(__file__).parent
    for place in (package / "shipped" / name, package.parent / name):
        if place.is_dir():
            return place
    raise ConfigError(
        f"this installation lacks {name}", fix="install datakit again: pip install --force-reinstall datakit"
    )
