"""The dataset card: YAML that `datasets` and the hub read, then a page for people. No text of any row is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datakit.schemas import Kind
from datakit.stages.export.columns import Survey
from datakit.stages.export.origins import origin_lines

if TYPE_CHECKING:
    import pyarrow as pa


def card(kind: Kind, survey: Survey, files: Mapping[str, int]) -> bytes:
    """The README.md of an export; `files`: names and bytes."""
    import yaml

    head: dict[str, Any] = {}
    if survey.licences:
        head["license"] = next(iter(survey.licences)).lower() if len(survey.licences) == 1 else "other"
    languages = [name for name, _ in sorted(survey.languages.items(), key=lambda item: (-item[1], item[0]))]
    if named := [name for name in languages if name != "und"]:
        head["language"] = named
    head["size_categories"] = [_size(survey.rows)]
    head["tags"] = ["datakit"]
    splits = {_split(name): name.rsplit(".", 1)[1] for name in files}
    paths = [{"split": split, "path": f"{split}-*.{ending}"} for split, ending in splits.items()]
    head["configs"] = [{"config_name": "default", "data_files": paths}]
    schema = survey.schema()
    info: dict[str, Any] = {"features": [{"name": column.name, **_feature(column.type)} for column in schema]}
    if survey.rows:  # `datasets` checks the numbers when it opens the folder: a lost file is an error
        sizes = {split: sum(size for name, size in files.items() if _split(name) == split) for split in splits}
        info["splits"] = [
            {"name": split, "num_bytes": size, "num_examples": survey.splits[split]} for split, size in sizes.items()
        ]
    head["dataset_info"] = info
    lines = ["---", yaml.safe_dump(head, allow_unicode=True, sort_keys=False).strip(), "---", "", "# Dataset", ""]
    lines += [f"{survey.rows:,} {kind} rows, written by datakit.", "", "| split | rows |", "|---|---:|"]
    lines += [f"| {split} | {survey.splits[split]:,} |" for split in splits]
    if survey.languages:
        lines += ["", "| language | rows |", "|---|---:|"]
        lines += [f"| {name} | {survey.languages[name]:,} |" for name in languages]
    if len(survey.licences) > 1:
        lines += ["", "| licence | rows |", "|---|---:|"]
        lines += [f"| {name} | {count:,} |" for name, count in sorted(survey.licences.items())]
    if made := origin_lines(survey.origins):
        lines += ["", *made]
    lines += ["", "| column | type |", "|---|---|", *(f"| `{c.name}` | {_words(c.type)} |" for c in schema)]
    lines += ["", "```python", "from datasets import load_dataset", ""]
    # `datasets` refuses a split without rows unless it streams.
    streaming = "" if survey.rows else ", streaming=True"
    lines += [f'rows = load_dataset("PATH/OF/THIS/FOLDER"{streaming})', "```"]
    lines += ["", *_how_to_train(kind)]
    return ("\n".join(lines) + "\n").encode()


def _split(file: str) -> str:
    """The split that `validation-00000-of-00002.parquet` belongs to."""
    return file.rsplit("-of-", 1)[0].rsplit("-", 1)[0]


def _how_to_train(kind: Kind) -> list[str]:
    """A line or two for the trainers that read such rows as they are."""
    if kind == "packed":
        return [
            "TRL: `SFTConfig(padding_free=True, max_length=None)`; `seq_lengths` keep the documents of a row apart. A",
            "trainer that knows neither `seq_lengths` nor `position_ids` would let them see each other.",
        ]
    if kind == "tokens":
        return [
            'TRL: `SFTTrainer(train_dataset=rows["train"])`, the labels are kept. Axolotl: export with',
            "`columns: trainer`, and leave `type:` empty.",
        ]
    if kind == "example":
        return ["TRL reads `messages` as they are. LLaMA-Factory: `dataset_dir:` this folder (dataset_info.json)."]
    return []


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """A column's type as the YAML of a dataset card spells it."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    if pa.types.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        return {"struct": [{"name": inner.name, **_feature(inner.type)} for inner in fields]}
    names = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return {"dtype": names.get(str(kind), str(kind))}


def _words(kind: pa.DataType) -> str:
    """A column's type for people."""
    words = str(kind)
    for ugly, plain in (("element: ", ""), ("item: ", ""), ("<", " of "), (">", "")):
        words = words.replace(ugly, plain)
    return words


def _size(rows: int) -> str:
    """The hub's word for a number of rows."""
    steps = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
    return next((word for limit, word in steps if rows < limit), "n>10M")
