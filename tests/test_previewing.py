"""`show --template`: a row as the tokens that training would see, learned or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datakit import api
from datakit.errors import ConfigError, StageError
from datakit.previewing import previewed
from tests.command_line import call
from tests.tiny_llama import END, make_tiny_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tiny_tokenizer(folder)
    return str(folder)


@pytest.mark.parametrize("template", ["chatml", "tokenizer", "alpaca", "koalpaca"])
def test_example_tokens_spell_the_text_and_learn_the_answers(folder: str, template: str) -> None:
    [row] = previewed(None, template, folder, Path())
    spelled = "".join(token["text"] for token in row["tokens"])
    assert spelled.removesuffix(END) == row["text"].removesuffix(END)
    learned = "".join(token["text"] for token in row["tokens"] if token["learned"])
    assert learned.startswith("대한민국의 수도는 서울입니다." + END)
    assert (row["count"], row["learned"]) == (len(row["tokens"]), sum(token["learned"] for token in row["tokens"]))


def test_show_example_prints_learned_tokens_apart_and_as_json(folder: str, here: Path) -> None:
    words = ("show", "example", "--template", "chatml", "--tokenizer", folder)
    printed = call(*words)
    assert printed.code == 0
    assert f"⟦대한민국의 수도는 서울입니다.{END}⟧" in printed.out
    assert "⟦Name one" not in printed.out
    assert call(*words, "--json").json == api.show("example", template="chatml", tokenizer=folder)


def test_rows_of_a_dataset_are_shown_by_any_template(folder: str, here: Path) -> None:
    rows = [{"instruction": f"물음 {n}", "output": "답"} for n in range(2)]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (here / "p.yaml").write_text(
        "name: p\nstages:\n- {use: ingest, files: rows.jsonl, form: alpaca}\n", encoding="utf-8"
    )
    api.run("p.yaml")
    (here / "own.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}!", encoding="utf-8")
    shown = api.show("p", rows=2, raw=True, template="own.jinja", tokenizer=folder)
    assert [row["text"] for row in shown] == ["물음 0답!", "물음 1답!"]
    [dropped] = previewed([{"id": "x", "messages": [{"role": "user", "content": "a"}]}], "chatml", folder, Path())
    assert dropped == {"id": "x", "dropped": "no_answer"}


def test_unknown_style_and_foreign_markup_are_named(folder: str) -> None:
    with pytest.raises(ConfigError, match="no style 'llama4'"):
        previewed(None, "llama4", folder, Path())
    with pytest.raises(StageError, match=r"<\|begin_of_text\|>, which is no token"):
        previewed(None, "llama3", folder, Path())
    with pytest.raises(ConfigError, match="documents"):
        previewed([{"id": "a", "text": "글"}], "chatml", folder, Path())
