"""What stages and recipes with a teacher share: which teacher, how replies are drawn, how many, by which prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from datakit.errors import Problem
from datakit.stage import Corpus, CorpusStage, Env, Outbox
from datakit.stages.synthesize import Synthesize
from datakit.stages.synthesize.generate import Sampling, Session
from datakit.stages.synthesize.prompting import Prompts, problems
from datakit.teachers import TeacherSpec, open_teacher
from datakit.teachers.budget import Budget


class Asks(CorpusStage):
    """Settings of a stage that asks a teacher."""

    asked_with: ClassVar[tuple[str, ...]] = ()
    """Names of the prompts that the stage uses."""

    teacher: TeacherSpec | None = None
    """local, replay:FILE, openai:MODEL, or {base_url, model, key_env, concurrency}."""
    budget: Budget | None = None
    """Most to spend on the teacher: {max_usd, max_tokens, max_requests, prices: {MODEL: {input, output}}}."""
    max_requests: PositiveInt = 500
    """Most requests sent to the teacher; those answered from disk count too."""
    max_tokens: PositiveInt = 1024
    """Longest reply, in tokens."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Sampling temperature; where the likeliest reply is wanted (classify, judge) it is 0."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus of the sampling."""
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    """Lowers the odds of a token by how often it came already; where the likeliest reply is wanted it is 0."""
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    """Lowers the odds of every token that came already; where the likeliest reply is wanted it is 0."""
    structured: bool = True
    """Send a JSON schema with requests for JSON (response_format); false for endpoints that refuse it."""
    prompts: str = ""
    """Folder of own prompts in the place of shipped ones of the same name (`datakit prompts`); digests are keyed."""

    @property
    def maker(self) -> str:
        """What it is called in seeds and messages."""
        return self.use

    def problems(self) -> list[Problem]:
        """What is missing, beside missing files."""
        found = super().problems() + problems(self.prompts)
        if self.teacher is None:
            fix = "local, replay:FILE or {base_url, model}"
            return [*found, Problem("teacher", f"{self.maker} needs a teacher", fix)]
        return found + self.teacher.problems() + self.teacher.budget_problems(self.budget)

    def identity(self) -> dict[str, Any]:
        """The settings; of the teacher only what shapes its replies (kind and model, not address and key); of the
        prompts their digests."""
        settings = {**super().identity(), "prompts": Prompts(self.prompts).digests(self.asked_with)}
        if self.teacher is not None:
            settings["teacher"] = self.teacher.identity()
            settings["budget"] = self.budget.identity(self.teacher.model) if self.budget else None
        return settings

    def forecast(self, corpus: Corpus) -> dict[str, Any] | None:
        """What the teacher would cost."""
        from datakit.stages.synthesize.forecast import forecast

        return forecast(self, self.teacher, self.budget, self.max_requests, corpus) if self.teacher else None

    def session(self, env: Env, rows: int | None) -> Session:
        """A generation that is about to begin; whoever opens it closes its teacher."""
        assert self.teacher is not None  # problems() saw to it
        sampling = Sampling(**{field.name: getattr(self, field.name) for field in fields(Sampling)})
        return Session(
            self.maker,
            open_teacher(self.teacher, env.cache, self.budget, env.tell),
            self.teacher.identity(),
            Prompts(self.prompts),
            sampling,
            env.seed,
            rows,
        )

    def note(self, session: Session, out: Outbox, rows: int, **more: Any) -> None:
        """What the report says about a generation that left `rows` rows, what it cost too."""
        spent = session.teacher.spent
        out.note(requests=session.requests, rejected=_refused(session), spent=spent.notes(rows), **more)


class Taught(Asks, Synthesize):
    """Base of the recipes that ask a teacher."""

    recipe: str
    licence: str | None = None
    """Licence written on the new rows; null: that of the row they are made of."""

    @property
    def maker(self) -> str:
        """The recipe."""
        return self.recipe

    def session(self, env: Env, rows: int | None) -> Session:
        """A generation that is about to begin, with the licence of its rows."""
        return replace(super().session(env, rows), licence=self.licence)

    def note(self, session: Session, out: Outbox, rows: int, **more: Any) -> None:
        """What the report says, rows made and wanted too."""
        super().note(session, out, rows, made=session.made, wanted=session.rows, **more)


def _refused(session: Session) -> Mapping[str, int]:
    return {name: count for name, count in sorted(session.counters.items()) if name.startswith("rejected.")}
