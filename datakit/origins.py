"""Where a version came from and what came of it, in two public languages: OpenLineage run events, and W3C PROV-JSON.

    files -> stage -> stage -> ... -> dataset version -> adapter

Files stand with their content digests, stages with their settings, the version with its digest. Never text of a row.
Sources: openlineage.io spec 2-0-2 (RunEvent), W3C PROV-JSON member submission (2013).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.runner import datakit_version
from datakit.store import Store

Form = Literal["openlineage", "prov"]
PRODUCER = "https://pypi.org/project/datakit"
EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


def provenance(manifest: DatasetManifest, store: Store, form: Form) -> dict[str, Any]:
    """The provenance of a version as one JSON document."""
    write: Mapping[str, Callable[..., dict[str, Any]]] = {"openlineage": _openlineage, "prov": _prov}
    sources = {
        name: digest
        for report in manifest.stages
        for key in report.steps
        if (step := store.step_record(key))
        for name, digest in step.sources
    }
    adapters = [one for one in store.adapters() if one.dataset_digest == manifest.digest]
    return write[form](manifest, sources, adapters, store)


def _openlineage(
    manifest: DatasetManifest, sources: Mapping[str, str], adapters: list[AdapterArtifact], store: Store
) -> dict[str, Any]:
    """One event of a run that is over; stages and their figures as a facet of the run."""
    facet = {"_producer": PRODUCER, "_schemaURL": f"{PRODUCER}#stages"}
    stages = [{"id": one.id, "use": one.use, **one.stats} for one in manifest.stages]
    version = {"_producer": PRODUCER, "_schemaURL": f"{EVENT}", "datasetVersion": manifest.version}
    return {
        "eventType": "COMPLETE",
        "eventTime": _when(manifest, store),
        "run": {"runId": _uuid(manifest), "facets": {"datakit_stages": {**facet, "stages": stages}}},
        "job": {"namespace": "datakit", "name": manifest.name},
        "inputs": [
            {"namespace": "file", "name": name, "facets": {"version": {**version, "datasetVersion": digest}}}
            for name, digest in sorted(sources.items())
        ],
        "outputs": [
            {"namespace": store.url, "name": manifest.name, "facets": {"version": version}},
            *({"namespace": "file", "name": one.path, "facets": {}} for one in adapters),
        ],
        "producer": PRODUCER,
        "schemaURL": EVENT,
    }


def _prov(
    manifest: DatasetManifest, sources: Mapping[str, str], adapters: list[AdapterArtifact], store: Store
) -> dict[str, Any]:
    """Entities (files, rows between stages, the version, adapters), activities (stages), and what used what."""
    entities: dict[str, dict[str, Any]] = {
        f"file:{name}": {"datakit:digest": digest} for name, digest in sorted(sources.items())
    }
    document: dict[str, Any] = {
        "prefix": {"datakit": f"{PRODUCER}#", "file": "urn:file:", "rows": "urn:rows:"},
        "entity": entities,
        "activity": {},
        "agent": {"datakit:software": {"prov:type": "prov:SoftwareAgent", "datakit:version": datakit_version()}},
        "used": {},
        "wasGeneratedBy": {},
        "wasDerivedFrom": {},
        "wasAssociatedWith": {},
    }
    settings = {(one.get("id") or one["use"]): one for one in manifest.recipe["stages"]}
    before = list(entities)
    for report in manifest.stages:
        activity, rows = f"datakit:{report.id}", f"rows:{manifest.ref}/{report.id}"
        told = {name: str(value) for name, value in settings.get(report.id, {}).items()}
        document["activity"][activity] = {f"datakit:{name}": value for name, value in told.items()}
        _relate(document, activity, before, rows, {"datakit:rows": report.stats["kept"] + report.stats["made"]})
        before = [rows]
    version = f"datakit:{manifest.ref}"
    entities[version] = {"datakit:digest": manifest.digest, "datakit:rows": manifest.rows}
    document["wasDerivedFrom"]["_:version"] = {"prov:generatedEntity": version, "prov:usedEntity": before[0]}
    for number, one in enumerate(adapters):
        activity = f"datakit:train-{number}"
        document["activity"][activity] = {"datakit:trainer": one.trainer, "datakit:base": one.base}
        _relate(document, activity, [version], f"file:{one.path}", {"prov:type": "datakit:adapter"})
    return document


def _relate(document: dict[str, Any], activity: str, used: list[str], made: str, facts: dict[str, Any]) -> None:
    """An activity that used some entities and made another."""
    document["entity"][made] = facts
    for number, entity in enumerate(used):
        document["used"][f"_:{activity}/used/{number}"] = {"prov:activity": activity, "prov:entity": entity}
    document["wasGeneratedBy"][f"_:{activity}/made"] = {"prov:entity": made, "prov:activity": activity}
    by = {"prov:activity": activity, "prov:agent": "datakit:software"}
    document["wasAssociatedWith"][f"_:{activity}/by"] = by


def _uuid(manifest: DatasetManifest) -> str:
    return str(uuid5(NAMESPACE_URL, f"{manifest.ref}/{manifest.digest}"))


def _when(manifest: DatasetManifest, store: Store) -> str:
    """When the run that published a version began; the day in its name, where no run record is left."""
    for stamp, run in store.dated_runs():
        if run.get("dataset") == manifest.ref and run.get("published"):
            day, time = stamp[:8], stamp[9:15]
            return f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:6]}Z"
    return f"{manifest.version[:10].replace('.', '-')}T00:00:00Z"
