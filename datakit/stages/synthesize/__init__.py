"""The stage `synthesize`: instruction rows from documents by rules, or by a teacher from seeds, documents and examples.

    recipe          reads             makes
    mine            documents         questions, titles, summaries, replies … from each by rules; no model
    self_instruct   seeds, examples   new tasks in four steps, novelty-checked (Wang et al. 2022)
    alpaca          seeds, examples   new tasks in one step, lists of 20 or 10 (Taori et al. 2023)
    magpie          nothing           tasks that the teacher writes for an empty user turn (Xu et al. 2024)
    grounded        documents         questions and answers with their evidence, checked against the document
    summarize       documents         summaries
    extract         documents         facts picked out as JSON
    rewrite         documents         the text in another style
    dialogue        documents         conversations of several turns
    backtranslate   documents         the instruction to which the text is the answer (Li et al. 2023)
    evolve          examples          harder and rarer tasks with answers, weak ones eliminated (Xu et al. 2023)
    paraphrase      examples          the same task in other words
    translate       examples          the same row in the other language
    cot             examples          reasoning that ends in the row's own answer
    preference      examples          two answers, the better one chosen in both orders: rows for DPO

`recipe` decides which settings there are: each recipe is a class of its own, one file each, and refuses the others'
settings. A document that gave rows is folded into them (they name it in `parents`), one that gave none is dropped by
rule. Examples that come in are kept unless `keep: false`, new rows follow them. Text in memory: a shard, and the rows
in flight.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar, Literal

from pydantic import PositiveInt

from datakit.errors import ConfigError, Problem
from datakit.schemas import Kind
from datakit.stage import CorpusStage

RECIPES = {
    "mine": "mining:Mine",
    "self_instruct": "self_instruct:SelfInstruct",
    "alpaca": "alpaca:Alpaca",
    "magpie": "magpie:Magpie",
    "grounded": "grounded:Grounded",
    "summarize": "summarize:Summarize",
    "extract": "extract:Extract",
    "rewrite": "rewrite:Rewrite",
    "dialogue": "dialogue:Dialogue",
    "backtranslate": "backtranslate:Backtranslate",
    "evolve": "evolve:Evolve",
    "paraphrase": "paraphrase:Paraphrase",
    "translate": "translate:Translate",
    "cot": "cot:Cot",
    "preference": "preference:Preference",
}
"""Recipe -> module and class; a module is imported when its recipe is chosen."""


class Synthesize(CorpusStage):
    """Make instruction rows: from documents by rules, or by a teacher from seeds, documents and examples."""

    use: ClassVar[str] = "synthesize"
    version: ClassVar[int] = 3
    takes: ClassVar[frozenset[Kind]] = frozenset({"document", "example"})
    seeded: ClassVar[bool] = True
    rules: ClassVar[tuple[str, ...]] = ("no_task", "no_row", "other_language", "not_asked", "not_chosen")

    recipe: str = "mine"
    """How rows are made; it decides which further settings there are (`datakit stages synthesize.RECIPE`)."""
    rows: PositiveInt | None = None
    """How many rows to make; null: as many as come, for recipes that never end 100."""
    language: Literal["auto", "ko", "en"] = "auto"
    """Make rows in this language only; auto: each row's own, or the languages of the seeds in turn."""

    def __new__(cls, **settings: Any) -> Synthesize:
        return super().__new__(cls.class_for(settings))

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Synthesize:
        """The value from plain data, of the class that its recipe names."""
        found = cls.class_for(obj) if isinstance(obj, Mapping) else cls
        return super(Synthesize, found).model_validate(obj, **options)

    @classmethod
    def class_for(cls, settings: Mapping[str, Any]) -> type[Synthesize]:
        """The class of the recipe that some settings name."""
        if cls is not Synthesize:
            return cls
        name = str(settings.get("recipe", "mine"))
        if name not in RECIPES:
            near = get_close_matches(name, list(RECIPES), n=1)
            fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(RECIPES)}"
            raise ConfigError((Problem("recipe", f"no recipe {name!r}", fix),))
        return _class_of(name)

    @classmethod
    def variants(cls) -> Mapping[str, type[Synthesize]]:
        """The class of every recipe."""
        return {name: _class_of(name) for name in RECIPES} if cls is Synthesize else {}

    def gives(self, kind: Kind | None) -> Kind:
        """Always examples."""
        return "example"


def _class_of(recipe: str) -> type[Synthesize]:
    module, _, name = RECIPES[recipe].partition(":")
    found: type[Synthesize] = getattr(import_module(f"datakit.stages.synthesize.{module}"), name)
    return found
