"""Where derived things live that can always be made again: converted base models, compiled word lists, teacher replies.

`$DATAKIT_CACHE`, else `$XDG_CACHE_HOME/datakit`, else `~/.cache/datakit`. Deleting it costs time, never data.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The cache folder of this user; not created here."""
    if named := os.environ.get("DATAKIT_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "datakit"
