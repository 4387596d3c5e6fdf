"""Weights are chosen on what was held out, by what is worth most there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommendation import blending
from models.recommendation.behaviour import LinearBehaviour
from models.recommendation.blending import LEAST_POPULAR, _blocks, _weights, fit_blend
from models.recommendation.recommender import Recommender
from shared.evaluation.ranking import evaluate_ranking, last_pair_descends
from shared.evaluation.ranking_protocols import RankingTask, leave_one_out
from tests.fakes.small_catalogue import (
    BLEND,
    RECIPE,
    catalogue_of,
    fit_parts,
    histories_over,
    items_of,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def world() -> tuple[Recommender, RankingTask]:
    items = items_of()
    task = leave_one_out(histories_over(items, users=80))
    asked = fit_parts(task.train, catalogue_of(items), recipe=RECIPE, seed=1, blend=BLEND)
    return asked, task


def ndcg(recommender: Recommender, task: RankingTask) -> float:
    return float(evaluate_ranking(recommender.score_users, task).metrics["ndcg@10"])


def test_its_weights_come_from_what_may_be_chosen(world: tuple[Recommender, RankingTask]) -> None:
    blend = fit_blend(*world, RECIPE, seed=1)
    assert blend.decay in RECIPE.history_decays
    assert blend.popular > 0
    share = RECIPE.new_share * blend.text / (blend.new_text - blend.text)
    assert min(abs(share - one) for one in RECIPE.text_shares) < 1e-6
    assert blend.borrowed == RECIPE.borrowed_share


def test_new_items_get_the_share_that_the_recipe_names(
    world: tuple[Recommender, RankingTask],
) -> None:
    plain = fit_blend(*world, RECIPE, seed=1)
    more = fit_blend(*world, replace(RECIPE, new_share=0.6, borrowed_share=0.5), seed=1)
    extra = plain.new_text - plain.text
    assert more.new_text == pytest.approx(plain.text + extra * 0.6 / RECIPE.new_share)
    assert more == replace(plain, new_text=more.new_text, borrowed=0.5)


def test_new_items_stand_among_known_ones(world: tuple[Recommender, RankingTask]) -> None:
    asked, task = world
    fitted = replace(asked, blend=fit_blend(asked, task, RECIPE, seed=1))
    scores = fitted.score_users(task.history, task.users)
    best_known = scores[:, fitted.fitted].max(axis=1)
    best_new = scores[:, ~fitted.fitted].max(axis=1)
    assert 0.02 < (best_new / best_known).mean() < 1.0


def test_the_blend_it_was_given_is_not_read(world: tuple[Recommender, RankingTask]) -> None:
    asked, task = world
    other = replace(asked, blend=replace(BLEND, decay=0.1, text=9.0, popular=7.0))
    assert fit_blend(asked, task, RECIPE, seed=1) == fit_blend(other, task, RECIPE, seed=1)


def test_it_is_no_worse_than_the_behaviour_alone(world: tuple[Recommender, RankingTask]) -> None:
    asked, task = world
    blend = fit_blend(asked, task, RECIPE, seed=1)
    chosen = ndcg(replace(asked, blend=blend), task)
    alone = replace(blend, text=0.0, new_text=0.0, popular=LEAST_POPULAR)
    assert chosen >= ndcg(replace(asked, blend=alone), task) - 0.02


def test_where_only_texts_speak_they_get_the_most(world: tuple[Recommender, RankingTask]) -> None:
    asked, task = world
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(asked.behaviour.arrays()["weights"].shape).astype(np.float32)
    deaf = replace(asked, behaviour=LinearBehaviour(noise))
    blend, heard = (fit_blend(one, task, RECIPE, seed=1) for one in (deaf, asked))
    shares = [blend.text / blend.new_text, heard.text / heard.new_text]  # of one scale
    assert shares[0] >= shares[1]
    assert blend.text > 0
    mixed = ndcg(replace(deaf, blend=blend), task)
    assert mixed > ndcg(replace(deaf, blend=replace(blend, text=0.0)), task)


def test_behaviour_that_says_nothing(world: tuple[Recommender, RankingTask]) -> None:
    asked, task = world
    silent = replace(asked, behaviour=LinearBehaviour(np.zeros((32, 32), np.float32)))
    blend = fit_blend(silent, task, RECIPE, seed=1)
    assert np.isfinite(list(blend.as_card().values())).all()
    assert blend.new_text > 0


def test_one_user(world: tuple[Recommender, RankingTask]) -> None:
    asked, task = world
    one = RankingTask(
        "one", task.train, task.history, task.users[:1], task.targets[:1], task.candidates
    )
    blend = fit_blend(asked, one, RECIPE, seed=1)
    assert blend == fit_blend(asked, one, RECIPE, seed=1)


def test_what_ascends_by_its_ids_alone_does_not_choose(
    world: tuple[Recommender, RankingTask],
) -> None:
    timed = world[1]
    assert timed.history.timed
    assert (_weights(timed) == 1).all()
    untold = replace(timed.history, times=np.full(len(timed.history.times), np.nan))
    task = replace(timed, history=untold)
    assert not task.history.timed
    descends = last_pair_descends(task)
    assert 0 < descends.mean() < 1
    weights = _weights(task)
    assert weights[descends].sum() == pytest.approx(len(weights) / 2, rel=1e-5)
    assert weights[~descends].sum() == pytest.approx(len(weights) / 2, rel=1e-5)


def test_blocks_of_users_choose_as_all_at_once(
    world: tuple[Recommender, RankingTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit_blend(*world, RECIPE, seed=1)
    monkeypatch.setattr(blending, "MOST_SCORES", 1)
    assert len(_blocks(world[1], 1)) > 1
    parts = fit_blend(*world, RECIPE, seed=1)
    assert parts.decay == whole.decay
