"""Where derived things live: converted base models, compiled word lists, and what teachers were paid for.

`$DATAKIT_CACHE`, else `$XDG_CACHE_HOME/datakit`, else `~/.cache/datakit`. Deleting it costs time, never data; but
below `replies` lie the replies of teachers, and those cost money: nothing in datakit deletes them. Who pays for replies
should set `$DATAKIT_CACHE` to a folder that is backed up.
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
