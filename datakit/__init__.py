"""Raw text to a clean instruction dataset and the adapter that proves it. Everything public loads on first use.

    import datakit as dk
    done = dk.run(dk.Pipeline(name="mine", stages=[dk.Ingest(files="docs/*.md"), dk.Normalize(), dk.Dedup()]))

Here: the verbs of `datakit.api` (`stages` only there: `datakit.stages` is the package of stages), `Pipeline`, `Store`,
`apply`, what a stage author needs (`RowStage`, `Drop`, `per_document` ...), and every registered stage by class name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "datakit.api": (
        "ablate", "blame", "chat", "check", "compare", "datasets", "doctor", "drops", "evaluate", "export", "forget",
        "gc", "generate", "index", "init", "merge", "pii_redact", "pii_scan", "plan", "plugins", "prompts",
        "provenance", "refresh", "report", "rethreshold", "review_export", "review_import", "rollback", "run",
        "schedule", "show", "stats", "trace", "train", "why",
    ),
    "datakit.errors": ("DatakitError", "ConfigError"),
    "datakit.outcome": ("Drop", "Outcome"),
    "datakit.pipeline": ("Pipeline",),
    "datakit.runner": ("apply",),
    "datakit.stage": ("CorpusStage", "RowStage", "SinkStage", "SourceStage", "Stage", "keep_where", "per_document"),
    "datakit.store": ("Store",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    if name[:1].isupper():
        from datakit.registry import names

        for entry in names("stage").values():
            if entry.value.rpartition(":")[2] == name:
                return entry.load()
    raise AttributeError(f"module 'datakit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOME_OF)
