"""The search: it finds what is better, ends what is not, resumes, and never sees the test split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.search import TimeBar, TrainAndScore, run_search
from models.search_run import search_in_home
from models.text_training import prepare_data
from shared.errors import DataError, SettingsError, TrainingError
from shared.finetuning.hardware import Hardware
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.finetuning.search import Score, SearchResult, SearchSpace, Watch
from shared.records import Dataset, Example
from shared.settings import Settings
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

SPACE = SearchSpace(make_recipe(), ("head", "full"), 6)
CPU = Hardware("cpu", "fp32", "test")


class Bowl:
    """Accuracy has its top at a learning rate of 4e-4; keeps which recipes were tried."""

    def __init__(self, break_at: int | None = None, seconds: float = 0.0) -> None:
        self.tried: list[dict[str, Any]] = []
        self.break_at, self.now, self.seconds = break_at, 0.0, seconds

    def clock(self) -> float:
        return self.now

    def __call__(self, fields: Mapping[str, Any], watch: Watch) -> Score:
        self.tried.append(dict(fields))
        if fields["method"] == "head":
            self.now += self.seconds
            return Score(0.5, 1.0)
        top = 0.9 - abs(np.log(fields["learning_rate"] / 4e-4)) / 5
        for epoch in range(1, fields["epochs"] + 1):
            self.now += self.seconds
            if self.break_at is not None and len(self.tried) > self.break_at:
                raise KeyboardInterrupt
            watch(epoch, top * (1 - 0.5**epoch))
        return Score(top, 1 - top)


def search(
    bowl: Any, journal: Path, trials: int | None = 20, seconds: float = 1e9, **more: Any
) -> SearchResult:
    bar = TimeBar(SilentProgress(), seconds, getattr(bowl, "clock", lambda: 0.0))
    return run_search(
        bowl, SPACE, journal=journal, identity="data", seed=1, bar=bar, most_trials=trials, **more
    )


def test_it_finds_a_better_recipe_than_it_began_with(tmp_path: Path) -> None:
    result = search(Bowl(), tmp_path / "journal", trials=30)
    usual = result.trials[1]
    assert result.trials[0].fields == {"method": "head"}
    assert usual.fields["learning_rate"] == 2e-4
    assert result.best is not None
    assert result.best.score is not None
    assert usual.score is not None
    assert result.best.score.accuracy > usual.score.accuracy + 0.05


def test_what_is_behind_ends_early(tmp_path: Path) -> None:
    result = search(Bowl(), tmp_path / "journal", trials=30)
    pruned = [trial for trial in result.trials if trial.state == "pruned"]
    assert pruned
    assert all(len(trial.curve) in (1, 3, 9) for trial in pruned), "only at the rungs"
    assert all(len(trial.curve) < trial.fields["epochs"] + 1 for trial in pruned)
    best = result.best
    assert best is not None
    assert min(trial.curve[0] for trial in pruned) < best.curve[0]


def test_one_seed_tries_the_same_recipes(tmp_path: Path) -> None:
    first, second = Bowl(), Bowl()
    search(first, tmp_path / "one")
    search(second, tmp_path / "two")
    assert first.tried == second.tried


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_a_search_that_was_broken_off_ends_like_an_unbroken_one(tmp_path: Path, stop: int) -> None:
    unbroken = search(Bowl(), tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        search(Bowl(break_at=stop), tmp_path / "broken")
    again = Bowl()
    resumed = search(again, tmp_path / "broken", resume=True)
    assert resumed.resumed >= stop
    assert len(again.tried) < len(unbroken.trials)
    assert [(t.state, t.fields, t.score, t.curve) for t in resumed.trials] == [
        (t.state, t.fields, t.score, t.curve) for t in unbroken.trials
    ]


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    search(Bowl(), tmp_path / "journal", trials=5)
    again = Bowl()
    assert search(again, tmp_path / "journal", trials=5).resumed == 0
    assert again.tried[0] == {"method": "head"}


def test_another_search_is_not_resumed(tmp_path: Path) -> None:
    search(Bowl(), tmp_path / "journal", trials=3)
    bar = TimeBar(SilentProgress(), 10)
    with pytest.raises(SettingsError, match="start anew without --resume"):
        run_search(
            Bowl(), SPACE, journal=tmp_path / "journal", identity="other data", seed=1, bar=bar,
            resume=True,
        )  # fmt: skip


def test_time_ends_it_in_the_middle_of_a_trial_and_resume_does_that_trial_again(
    tmp_path: Path,
) -> None:
    slow = Bowl(seconds=10.0)
    result = search(slow, tmp_path / "journal", trials=None, seconds=95.0)
    assert slow.now <= 110
    assert len(result.trials) == len(slow.tried) - 1
    again = Bowl()
    search(again, tmp_path / "journal", trials=len(result.trials) + 1, resume=True)
    assert again.tried == slow.tried[-1:], "the trial that was cut"


def test_one_trial_is_done_however_short_the_time(tmp_path: Path) -> None:
    result = search(Bowl(seconds=50.0), tmp_path / "journal", trials=None, seconds=1.0)
    assert [trial.state for trial in result.trials] == ["done"]


def test_a_trial_that_fails_is_told_and_the_search_goes_on(tmp_path: Path) -> None:
    def broken(fields: Mapping[str, Any], watch: Watch) -> Score:
        if fields["method"] == "full" and fields["learning_rate"] > 2e-4:
            raise TrainingError("the loss became nan at step 3")
        return Score(0.7, 0.1)

    result = search(broken, tmp_path / "journal")
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert failed
    assert failed[0].error == "the loss became nan at step 3"
    assert result.best is not None


def test_a_space_without_anything_new_ends(tmp_path: Path) -> None:
    heads = SearchSpace(make_recipe(), ("head",), 4)
    bowl = Bowl()
    run_search(
        bowl, heads, journal=tmp_path / "journal", identity="", seed=1,
        bar=TimeBar(SilentProgress(), 1e9),
    )  # fmt: skip
    assert bowl.tried == [{"method": "head"}]


def dataset(each: int = 50) -> Dataset:
    draw = np.random.default_rng(0)
    cues = {"refund": "money", "tracking": "parcel", "billing": "invoice"}
    examples = []
    for label, cue in cues.items():
        for _ in range(each):
            filler = draw.choice(WORDS[12:], size=draw.integers(3, 7)).tolist()
            examples.append(Example(" ".join([*filler, cue]), label))
    return Dataset("tiny", tuple(examples))


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder")))


def test_the_test_and_gate_splits_are_taken_away(encoder_folder: str) -> None:
    splits = prepare_data(dataset())
    objective = TrainAndScore.of(
        splits, make_recipe(), CPU, SilentProgress(), encoder=encoder_folder
    )
    assert splits.test
    assert splits.gate
    assert (objective.splits.test, objective.splits.gate) == ((), ())
    epochs: list[int] = []
    fields = {"method": "full", "epochs": 3, "learning_rate": 2e-3, "batch_size": 16}
    score = objective(fields, lambda epoch, accuracy: epochs.append(epoch))
    assert epochs == [1, 2, 3]
    assert 0 <= score.accuracy <= 1
    assert score == objective(fields, lambda epoch, accuracy: None), "one seed, one score"


def test_without_validation_nothing_is_scored(encoder_folder: str) -> None:
    stated = tuple(Example(e.text, e.label, "test") for e in dataset(2).examples)
    more = tuple(Example(f"{e.text} now", e.label, "train") for e in dataset(1).examples)
    with pytest.raises(DataError, match="no validation example"):
        TrainAndScore.of(
            prepare_data(Dataset("few", (*stated, *more))), make_recipe(), CPU, SilentProgress()
        )


def test_a_search_leaves_a_page_a_journal_and_a_line(encoder_folder: str, tmp_path: Path) -> None:
    def found(trials: int, resume: bool) -> dict[str, Any]:
        return search_in_home(
            dataset(), app="support", given={"seed": 2, "max_length": 32},
            settings=Settings(home=tmp_path), words=["--data", "mine.csv", "--seed", "2"],
            budget=600.0, methods=("head", "full"), most_trials=trials, encoder=encoder_folder,
            device="cpu", resume=resume,
        )  # fmt: skip

    first = found(2, resume=False)
    assert [trial["state"] for trial in first["trials"]] == ["done", "done"]
    second = found(4, resume=True)
    assert second["resumed_trials"] == 2
    assert second["trials"][:2] == first["trials"]
    assert len(second["trials"]) == 4
    best = second["best"]
    assert best["validation_accuracy"] == max(
        t["validation_accuracy"] for t in second["trials"] if t["state"] == "done"
    )
    assert second["command"].startswith("triptych train support --data mine.csv --seed 2 --method")
    assert "max_length=32" in second["command"]
    assert Path(second["plot"]).read_text().count("<svg") >= 2
    assert Path(second["journal"]).is_file()
