"""The pipelines and sample data that come with datakit: inside the wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

from datakit.errors import ConfigError


def shipped(name: str) -> Path:
    """The folder `pipelines` or `sample_data` as it came with datakit."""
    package = Path(__file__).parent
    for place in (package / "shipped" / name, package.parent / name):
        if place.is_dir():
            return place
    raise ConfigError(
        f"this installation lacks {name}", fix="install datakit again: pip install --force-reinstall datakit"
    )
