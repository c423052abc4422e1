"""The Pipeline value: stages in order, a seed, and what to do with the result. YAML and the library call are one value.

    Pipeline.load("pipelines/quickstart.yaml") == Pipeline(name="quickstart", stages=[Ingest(files=...), ...], ...)

Loading binds everything before a byte is read, and reports every problem at once: unknown stages and fields with the
nearest known name, wrong types, kinds that don't chain, missing files. Order of settings: default < YAML < `--set`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator

from datakit.canon import key_of
from datakit.errors import ConfigError, DatakitError, Problem
from datakit.registry import find, stage_class, unknown
from datakit.schemas import Kind
from datakit.spelling import parse_yaml
from datakit.stage import Stage

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
TRAIN_KEYS = ("use", "out")
SECTIONS = ("train", "evaluate", "refresh")


class Gates(BaseModel):
    """What a refreshed dataset must hold before it is published."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    min_rows: int = Field(1, ge=0)
    """Fewest rows of a version that may be published."""
    max_drop_shift: float | None = Field(None, ge=0, le=1)
    """Largest change of any stage's drop share against the version before, 0 to 1."""
    max_pii_rate: float | None = Field(None, ge=0)
    """Most personal values that `pii` may find, on average a row."""
    max_cost_usd: float | None = Field(None, ge=0)
    """Most that teachers may have cost, in US dollars, over all `synthesize` stages."""
    val_loss_not_worse_by: float | None = Field(None, ge=0)
    """How much worse the new adapter's loss on the rows of `evaluate:` may be than the last one's: 0.02 means 2 %."""


class Hooks(BaseModel):
    """Who is told of a pass: a command (its words split as a shell would, but no shell), a URL that gets a POST, or
    `$NAME` for either in an environment variable."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    published: str | None = None
    """Command or http(s) URL told of a new version; the news is JSON, on stdin or as the body."""
    refused: str | None = None
    """Command or http(s) URL told that a gate held a version back."""


class Refresh(BaseModel):
    """What `datakit refresh` does beside running the pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    train: bool = False
    """Train a new adapter for every new version (needs a `train:` section). With `evaluate:` it is compared with the
    last one on the same held-out rows, and the better of the two stays in the adapter's folder."""
    keep: int = Field(5, ge=1)
    """How many published versions to keep by name; older names are removed, their shards stay."""
    gates: Gates = Gates()
    """What must hold before a version is published."""
    hooks: Hooks = Hooks()
    """Who is told what a pass did."""


class Evaluate(BaseModel):
    """Held-out rows on which a new adapter is compared with its base."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rows: str
    """A JSONL file of instruction rows (instruction, input, output) that no stage reads."""
    samples: int = Field(4, ge=0)
    """How many rows are answered by base and adapter, to be read side by side."""
    max_new_tokens: int = Field(64, ge=1)
    """Longest answer of a sample, in tokens."""


class Pipeline(BaseModel):
    """A pipeline as a value; see the module."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=NAME)
    """Name of the dataset that comes out."""
    seed: int = 0
    """Seed of everything that is drawn at random."""
    stages: tuple[SerializeAsAny[Stage], ...] = Field(min_length=1)
    """The stages, in order."""
    train: dict[str, Any] | None = None
    """`use`: the trainer, `out`: folder of the adapter (default adapters/<name>), and the trainer's own settings."""
    evaluate: Evaluate | None = None
    """Held-out rows on which a new adapter is compared with its base."""
    refresh: Refresh | None = None
    """What `datakit refresh` does beside running the pipeline."""

    @field_validator("stages")
    @classmethod
    def _named_apart(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        """Give a repeated entry without an id the name `use-2`, `use-3`, ... so that each has its own line."""
        seen: Counter[str] = Counter(stage.id for stage in stages if stage.id)
        named = []
        for stage in stages:
            if stage.id is None:
                seen[stage.use] += 1
                stage = (
                    stage.model_copy(update={"id": f"{stage.use}-{seen[stage.use]}"}) if seen[stage.use] > 1 else stage
                )
            named.append(stage)
        doubled = [name for name, count in Counter(stage.name for stage in named).items() if count > 1]
        if doubled:
            raise ValueError(f"two entries have the id {doubled[0]!r}; give each its own")
        return tuple(named)

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Pipeline:
        """The pipeline in a YAML file, with `--set` overrides such as "quality.min_words=30"; raises ConfigError."""
        return cls.from_dict(read_yaml(path), overrides, where=str(path))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], overrides: Sequence[str] = (), where: str = "") -> Pipeline:
        """The pipeline from plain data, everything checked; all problems are raised together."""
        problems: list[Problem] = []
        data = _apply_overrides(dict(data), overrides, problems)
        known = list(cls.model_fields)
        problems += [unknown(f"no such section {name!r}", name, known, name) for name in data if name not in known]
        stages = list(_bind_stages(data.get("stages"), problems))
        if not problems:
            try:
                pipeline = cls.model_validate({**data, "stages": stages})
            except ValidationError as error:
                problems += flatten(error, cls)
            else:
                problems += pipeline.problems()
                if not problems:
                    return pipeline
        elif isinstance(data.get("train"), dict):
            problems += _train_problems(data["train"], "packed")  # what the rows will be is not known
        raise ConfigError(problems, where=where)

    def problems(self) -> list[Problem]:
        """Everything that can be seen to be wrong without reading a row."""
        found, kind = [], None
        for place, stage in enumerate(self.stages):
            path = f"stages[{place}] {stage.name}"
            if said := stage.chains(kind, self.stages[:place]):
                found.append(Problem(path, said))
                break
            kind = stage.gives(kind)
            try:
                found += [Problem(f"{path}.{p.path}", p.message, p.fix) for p in stage.problems()]
            except DatakitError as error:
                found.append(Problem(path, error.message, error.fix))
        if self.train is not None:
            found += _train_problems(self.train, kind)
        if self.evaluate is not None and not Path(self.evaluate.rows).is_file():
            found.append(Problem("evaluate.rows", f"no file at {self.evaluate.rows!r}"))
        if self.refresh is not None and self.refresh.train and self.train is None:
            found.append(
                Problem("refresh.train", "there is no `train:` section", "add one, or set refresh.train: false")
            )
        if self.refresh is not None and self.refresh.gates.val_loss_not_worse_by is not None:
            found += self._loss_gate_problems(self.refresh)
        return found

    def _loss_gate_problems(self, refresh: Refresh) -> list[Problem]:
        path = "refresh.gates.val_loss_not_worse_by"
        if not refresh.train:
            return [Problem(path, "no adapter is trained, so none has a loss", "set refresh.train: true")]
        if self.evaluate is None:
            return [Problem(path, "there are no rows to compare adapters on", "add `evaluate: {rows: FILE}`")]
        return []

    def kinds(self) -> list[Kind]:
        """The kind of rows after each stage."""
        kind, kinds = None, []
        for stage in self.stages:
            kind = stage.gives(kind)
            kinds.append(kind)
        return kinds

    def to_dict(self) -> dict[str, Any]:
        """The pipeline as plain data, without settings that equal their default; `from_dict` reads it back."""
        data: dict[str, Any] = {"name": self.name, "seed": self.seed}
        data["stages"] = [
            {"use": stage.origin or stage.use, **stage.model_dump(mode="json", exclude_defaults=True)}
            for stage in self.stages
        ]
        if self.train is not None:
            data["train"] = self.train
        for section in ("evaluate", "refresh"):
            if (value := getattr(self, section)) is not None:
                data[section] = value.model_dump(mode="json")
        return data

    def to_yaml(self) -> str:
        """The pipeline as a YAML file."""
        return yaml.safe_dump(self.to_dict(), allow_unicode=True, sort_keys=False, width=110)

    def fingerprint(self) -> str:
        """The key of what the pipeline makes: recipes of all stages; not its name, not its training."""
        return key_of([stage.keyed_as(self.seed) for stage in self.stages])


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file that must hold a mapping; every failure is a ConfigError with the line."""
    try:
        data = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        near = unknown("", Path(path).name, sorted(p.name for p in Path(path).parent.glob("*.y*ml"))).fix
        raise ConfigError("no such pipeline file", where=str(path), fix=near if near != "known: " else "") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the file can't be read: {error}", where=str(path), fix="save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"not valid YAML: {getattr(error, 'problem', error)}", where=place) from error
    if not isinstance(data, dict):
        raise ConfigError("a pipeline file holds `name:` and `stages:`", where=str(path), fix="see `datakit init`")
    return data


def flatten(error: ValidationError, cls: type[BaseModel], path: str = "") -> list[Problem]:
    """A pydantic error as problems: one a field, with the nearest field name for unknown ones."""
    found = []
    for item in error.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in item["loc"])
        full = f"{path}.{place}".strip(".")
        if item["type"] == "extra_forbidden":
            known = list(cls.model_fields)
            found.append(unknown(f"no such setting {item['loc'][-1]!r}", str(item["loc"][-1]), known, full))
        elif item["type"] == "string_pattern_mismatch" and item["loc"] == ("name",):
            found.append(Problem(full, "a name is made of Latin letters, digits, `.`, `_` and `-`", "say, my-dataset"))
        else:
            message = item["msg"].removeprefix("Value error, ")
            found.append(Problem(full, message[:1].lower() + message[1:]))
    return found


def _bind_stages(entries: Any, problems: list[Problem]) -> Iterator[Stage]:
    if isinstance(entries, list | tuple) and entries:
        for place, entry in enumerate(entries):
            if isinstance(entry, Stage):
                yield entry
            elif (stage := _bind_stage(entry, f"stages[{place}]", problems)) is not None:
                yield stage
    else:
        problems.append(Problem("stages", "there are no stages", "list them: `- use: ingest` and so on"))


def _bind_stage(entry: Any, path: str, problems: list[Problem]) -> Stage | None:
    if isinstance(entry, str):
        entry = {"use": entry}
    if not isinstance(entry, dict) or not isinstance(entry.get("use"), str):
        problems.append(Problem(path, "an entry needs `use: NAME`", "see `datakit stages`"))
        return None
    settings = {name: value for name, value in entry.items() if name != "use"}
    try:
        cls = stage_class(entry["use"]).class_for(settings)
        return cls.model_validate(settings)
    except ConfigError as error:
        problems += [Problem(path, p.message, p.fix) for p in error.problems]
    except ValidationError as error:
        problems += flatten(error, cls, f"{path} {entry['use']}")
    return None


def _train_problems(train: dict[str, Any], kind: Kind | None) -> list[Problem]:
    name = train.get("use")
    if not isinstance(name, str):
        return [Problem("train", "needs `use: NAME` of a trainer", "see `datakit plugins`")]
    try:
        trainer = find("trainer", name)
        trainer.Config.model_validate({k: v for k, v in train.items() if k not in TRAIN_KEYS})
    except ConfigError as error:
        return [Problem(f"train.{p.path}".strip("."), p.message, p.fix) for p in error.problems]
    except ValidationError as error:
        return flatten(error, trainer.Config, "train")
    if kind not in ("tokens", "packed"):
        return [
            Problem("train", f"the pipeline ends in {kind} rows", "add template, tokenize and pack before training")
        ]
    return []


def _apply_overrides(data: dict[str, Any], overrides: Sequence[str], problems: list[Problem]) -> dict[str, Any]:
    """Apply `entry.field=value` (value in YAML) to stages by id or use, to sections, `seed`, `name`."""
    listed = data.get("stages") if isinstance(data.get("stages"), list | tuple) else ()
    stages = [dict(e) if isinstance(e, dict) else {"use": e} for e in listed or ()]
    named = {name: entry for entry in reversed(stages) for name in _entry_names(entry)}
    for override in overrides:
        path, equals, text = override.partition("=")
        head, _, field = path.strip().rpartition(":")[2].partition(".")
        try:
            value = parse_yaml(text)
        except yaml.YAMLError:
            value = text
        if not equals or not head:
            problems.append(Problem(f"--set {override}", "this sets nothing", "write it as stage.field=value"))
        elif head in named and field:
            _put_deep(named[head], field, value)
        elif head in SECTIONS and not field and value is None:
            data.pop(head, None)
        elif head in SECTIONS and field:
            _put_deep(data.setdefault(head, {}), field, value)
        elif head in ("seed", "name") and not field:
            data[head] = value
        else:
            known = [str(name) for name in named] + [*SECTIONS, "seed", "name"]
            problems.append(unknown(f"no entry {head!r}", head, known, f"--set {override}"))
    return {**data, "stages": stages} if listed else data


def _entry_names(entry: dict[str, Any]) -> Iterator[str]:
    """What an entry is called in `--set`: its id, else its stage; `my_stage.py:MaxLength` also as it calls itself."""
    name = str(entry.get("id") or entry.get("use"))
    yield name.rpartition(":")[2]
    if ":" in name:
        with suppress(ConfigError):  # told when the stage is bound
            yield stage_class(name).use


def _put_deep(target: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        inner = target.get(name)
        target[name] = dict(inner) if isinstance(inner, dict) else {}
        target = target[name]
    target[last] = value
