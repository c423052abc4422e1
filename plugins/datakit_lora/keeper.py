"""Runs the steps, and between them reports, measures, keeps checkpoints, and stops when it should."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from datakit.errors import TrainError
from datakit.trainer import Event, TrainJob
from datakit_lora.batches import Plan, Row
from datakit_lora.checkpoint import Shelf, Trained
from datakit_lora.config import LoraSettings
from datakit_lora.failures import StopSign
from datakit_lora.held_out import HeldOut, measure
from datakit_lora.journal import Journal, journal
from datakit_lora.loop import Engine, Progress, train
from datakit_lora.speed import Speed
from datakit_lora.watch import overfits, spiked, stalled


@dataclass(slots=True)
class Keeper:
    """One run's steps."""

    job: TrainJob
    shelf: Shelf
    engine: Engine
    held: HeldOut
    plan: Plan
    config: LoraSettings
    speed: Speed
    sign: StopSign
    at_start: Callable[[], None]
    """Measures the adapter before its first step; called on every start, also of a run that goes on."""
    step_seconds: list[float] = field(default_factory=list)

    def go(self, rows: list[Row]) -> Progress:
        """From the newest checkpoint, or the beginning, to the end."""
        trained = Trained(self.engine.weights, self.engine.optimizer)
        self.at_start()
        found = self.shelf.load(trained, self.job.tell)
        start, progress = (found[0], Progress(**found[1])) if found else (0, Progress())
        with journal(self.job.out, self.config, start) as book:
            if found:
                self.job.report(Event("resume", start, self.plan.steps))
            else:
                self._measure(0, progress, book)
            clock = [time.perf_counter()]

            def after_step(done: int) -> bool:
                self.step_seconds.append(time.perf_counter() - clock[0])
                over = self._after(done, progress, trained, book)
                clock[0] = time.perf_counter()
                return over

            train(
                self.engine, rows, self.plan, self.config, progress,
                start=start, after_step=after_step, tell=self.job.tell,
            )  # fmt: skip
            last = progress.curve[-1]["step"] if progress.curve else 0
            if not progress.evals or progress.evals[-1]["step"] != last:
                self._measure(int(last), progress, book)
        self._back_to_the_best(progress, trained)
        return progress

    @property
    def cold_start(self) -> float:
        """Seconds that the first step of this process took beyond a usual one: compiling, warming caches."""
        usual = statistics.median(self.step_seconds[1:]) if len(self.step_seconds) > 1 else 0.0
        return max(0.0, self.step_seconds[0] - usual) if self.step_seconds else 0.0

    def _after(self, done: int, progress: Progress, trained: Trained, book: Journal) -> bool:
        """What stands between two steps; True ends the run."""
        told = progress.curve[-1]
        figures = self.speed.figures(progress)
        self.job.report(
            Event("train", done, self.plan.steps, {"loss": told["loss"], "lr": told["lr"], **figures.short})
        )
        book.log("step", done, {**told, **figures.full})
        if spiked(progress.curve):
            self._alarm(progress, done, "loss spike", f"step {done}: the loss jumped to {told['loss']:.3g}")
        over = False
        if self.config.eval_every and done % self.config.eval_every == 0 and done < self.plan.steps:
            over = self._evaluate(done, progress, trained, book)
        if done < self.plan.steps and not over:
            if self.config.checkpoint_every and done % self.config.checkpoint_every == 0:
                self._save(done, progress, trained)
            if self.sign.asked:
                self._stop(done, progress, trained)
        return over

    def _evaluate(self, done: int, progress: Progress, trained: Trained, book: Journal) -> bool:
        self._measure(done, progress, book)
        if self.held.rows and overfits(progress.evals, progress.curve):
            told = f"step {done}: the held-out loss rises while the training loss falls: fewer epochs, or more dropout"
            self._alarm(progress, done, "overfitting", told)
        if self.config.keep_best and progress.best and progress.best["step"] == done:
            self._save(done, progress, trained)
        if over := stalled(progress.evals, self.config.patience):
            self.job.tell(f"step {done}: no better held-out loss in {self.config.patience} evaluations: stopped early")
        return over

    def _save(self, done: int, progress: Progress, trained: Trained) -> None:
        best = progress.best
        self.shelf.save(done, trained, asdict(progress), int(best["step"]) if self.config.keep_best and best else None)

    def _stop(self, done: int, progress: Progress, trained: Trained) -> None:
        if self.config.checkpoint_every:
            self._save(done, progress, trained)
        kept = (
            "its checkpoint is kept" if self.config.checkpoint_every else "without a checkpoint (checkpoint_every: 0)"
        )
        raise TrainError(
            f"asked to stop (SIGTERM) after step {done} of {self.plan.steps}: {kept}",
            where=str(self.job.out),
            fix="run the same command again: it goes on from there",
        )

    def _alarm(self, progress: Progress, step: int, what: str, told: str) -> None:
        progress.alarms.append({"step": step, "what": what})
        self.job.tell(told)

    def _measure(self, step: int, progress: Progress, book: Journal) -> None:
        if self.held.rows:
            figures = measure(self.engine, self.held, self.plan.rows_a_batch)
            progress.evals.append({"step": step, **figures})
            told = {name: value for name, value in figures.items() if isinstance(value, int | float)}
            self.job.report(Event("eval", step, self.plan.steps, told))
            book.log("eval", step, figures)

    def _back_to_the_best(self, progress: Progress, trained: Trained) -> None:
        best = progress.best
        if not self.config.keep_best or best is None or best["step"] == progress.evals[-1]["step"]:
            return
        if self.shelf.weights(int(best["step"]), trained):
            progress.evals.append(dict(best))
            self.job.tell(f"kept the adapter of step {best['step']}, the best held-out loss ({best['nll']:.4f})")
