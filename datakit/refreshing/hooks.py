"""Hooks: a command or a URL that is told what a pass did. Told last, so nothing that a hook does can undo a pass.

A command is split into words and started without a shell; it gets the news as one line of JSON on stdin. A URL gets the
same as the body of a POST. `$NAME` stands for the hook in that environment variable: the address of a chat room is a
secret, and a pipeline file is not. A hook that fails is told in one line and fails nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

TIMEOUT = 30
"""Seconds that a hook may take."""


def tell_hook(hook: str, news: dict[str, Any]) -> str | None:
    """Tell a command or a URL; why it failed, None if it didn't."""
    body = json.dumps(news, ensure_ascii=False).encode()
    if hook.startswith("$"):
        name, hook = hook[1:], os.environ.get(hook[1:], "")
        if not hook:
            return f"the hook is not set: ${name}"
    try:
        if hook.startswith(("http://", "https://")):
            request = Request(hook, body, {"Content-Type": "application/json"}, method="POST")
            with urlopen(request, timeout=TIMEOUT):
                return None
        done = subprocess.run(shlex.split(hook), input=body + b"\n", timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return f"the hook took longer than {TIMEOUT} seconds"
    except URLError as error:
        return f"the hook can't be reached: {error.reason}"
    except (OSError, ValueError) as error:
        return f"the hook can't be started: {getattr(error, 'strerror', None) or error}"
    return f"the hook ended with exit code {done.returncode}" if done.returncode else None
