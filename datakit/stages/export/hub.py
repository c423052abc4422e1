"""Puts an export on the Hugging Face hub: one commit with the files that datakit wrote, nothing else of the folder.

Only when asked (`datakit export DATASET FOLDER --push OWNER/NAME`), never by a pipeline: a run must not publish by
itself. The token is read from HF_TOKEN, and is in no message, file or record. Shards of an earlier, larger export go in
the same commit, so the hub never shows half of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from datakit.errors import ConfigError, StoreError

OURS = ("*-?????-of-?????.parquet", "*-?????-of-?????.jsonl", "dataset_info.json")
"""Files of an earlier export, if this one doesn't write them again."""


def push(folder: Path, files: Iterable[str], repo: str, message: str, *, private: bool = True) -> str:
    """Upload files of a folder to the dataset `owner/name`, which is made if it isn't there; the commit's address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    token = os.environ.get("HF_TOKEN")
    if not token:
        fix = "set HF_TOKEN to a token with write access (huggingface.co/settings/tokens)"
        raise ConfigError("there is no token to push with", where=repo, fix=fix)
    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)
    try:
        hub.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        done = hub.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=sorted(files),
            delete_patterns=list(OURS),
            commit_message=message,
        )
    except HFValidationError as error:
        raise ConfigError("this is no name of a dataset", where=repo, fix="OWNER/NAME, such as kim/answers") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        fix = "the token must be allowed to write there; what is on the hub is as it was before"
        raise StoreError(f"the hub refused the dataset ({status})", where=repo, fix=fix) from None
    return str(done.commit_url)
