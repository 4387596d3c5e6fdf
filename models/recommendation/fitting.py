"""Fitting a recommender on histories and the items of their rows.

items -> texts -> words, vectors ─┬─> item tower ──┐
histories ────────────────────────┴─> behaviour ───┴─> blend on held-out events -> all again
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from models.recommendation.als import AlsOptions, fit_als
from models.recommendation.behaviour import Behaviour, FactorBehaviour, LinearBehaviour
from models.recommendation.blending import fit_blend
from models.recommendation.item_texts import ItemTexts, TextSpace, read_texts
from models.recommendation.item_tower import ItemTower, train_item_tower
from models.recommendation.popularity import recent_popularity
from models.recommendation.recipe import MOST_ITEMS_SOLVED, RecommendRecipe
from models.recommendation.recommender import Blend, Recommender
from models.recommendation.sequence_linear import bytes_to_solve, fit_sequence_linear
from models.recommendation.text_features import Encode, TextFeatures
from shared.catalogue import CatalogueItem
from shared.errors import EmptyData
from shared.evaluation.ranking import ScoreUsers, item_popularity
from shared.evaluation.ranking_protocols import RankingTask, leave_one_out
from shared.histories import Histories

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Say = Callable[[str], None]

NOTHING = "there is nothing to fit on: load items and events of them first"

WITHOUT_VALIDATION = Blend(decay=0.8, text=0.0, new_text=0.1, popular=0.01)
"""Where no user has two events there is nothing to choose weights on."""


@dataclass(frozen=True, eq=False, slots=True)
class CatalogueTexts:
    """A catalogue's texts, read once for all fits on it: the encoder's vectors float32 [n, e], what
    was learnt of the words, their weights (CSR [n, terms]) and the dense form float32 [n, t]."""

    texts: tuple[str, ...]
    encoded: Floats
    features: TextFeatures
    words: object
    dense: Floats


@dataclass(frozen=True, eq=False, slots=True)
class FittedRecommender:
    """The recommender, the validation task its blend was chosen on (None where there was none) and
    the recommender that was asked then, fitted without those events."""

    recommender: Recommender
    validation: RankingTask | None
    asked: Recommender | None
    seconds: Mapping[str, float]


def read_catalogue(
    items: Sequence[CatalogueItem],
    encode: Encode,
    *,
    seed: int,
    known: dict[str, Floats] | None = None,
) -> CatalogueTexts:
    """Read the items' texts; those in ``known`` have the encoder's vector already."""
    texts = tuple(item.whole for item in items)
    encoded = read_texts(texts, encode, known=known)
    features = TextFeatures.fit(texts, encoded, seed=seed)
    words = features.words(texts)
    return CatalogueTexts(texts, encoded, features, words, features.dense(words, encoded))


def fit_recommender(
    histories: Histories,
    catalogue: CatalogueTexts,
    *,
    recipe: RecommendRecipe,
    seed: int,
    blend: Blend | None = None,
    tower: ItemTower | None = None,
    say: Say = log.info,
) -> FittedRecommender:
    """Fit on all events, the blend chosen on each user's last one unless it is given.

    ``tower`` is one that was trained on nearly the same events and texts; else one is trained.
    Raises EmptyData without an item or an event, TrainingError for a catalogue that is too large.
    """
    if not histories.items or not len(histories.rows):
        raise EmptyData(NOTHING)
    started = monotonic()
    validation, asked = None, None
    if blend is None:
        try:
            validation = leave_one_out(histories)
        except EmptyData:
            blend = WITHOUT_VALIDATION
            say("no user has two events: the blend keeps its defaults")
    if validation is not None and blend is None:
        say(f"fitting without the last events of {len(validation.users):,} users")
        asked = fit_parts(
            validation.train,
            catalogue,
            recipe=recipe,
            seed=seed,
            blend=WITHOUT_VALIDATION,
            tower=tower,
            say=say,
        )
        blend = fit_blend(asked, validation, recipe, seed=seed)
        asked = replace(asked, blend=blend)
        say(f"blend: {', '.join(f'{name} {value:.4g}' for name, value in blend.as_card().items())}")
    blended = monotonic()
    assert blend is not None
    say(f"fitting on all {len(histories.rows):,} events")
    if asked is not None:
        tower = asked.space.tower
    recommender = fit_parts(
        histories, catalogue, recipe=recipe, seed=seed, blend=blend, tower=tower, say=say
    )
    seconds = {"blend": blended - started, "fit": monotonic() - blended}
    return FittedRecommender(recommender, validation, asked, seconds)


def fit_parts(
    histories: Histories,
    catalogue: CatalogueTexts,
    *,
    recipe: RecommendRecipe,
    seed: int,
    blend: Blend,
    tower: ItemTower | None = None,
    say: Say = log.info,
) -> Recommender:
    """The parts on all events of the histories, under a given blend.

    ``tower`` is one that was trained on nearly the same events; else one is trained.
    """
    if tower is None:
        say("training the item tower")
        tower = train_item_tower(histories, catalogue.dense, recipe, seed=seed)
    space = TextSpace(catalogue.features, tower)
    texts = space.of_words(catalogue.words, catalogue.encoded, catalogue.dense)
    return Recommender(
        item_ids=histories.item_ids,
        item_texts=catalogue.texts,
        behaviour=_behaviour(histories, catalogue, recipe, seed, say),
        space=space,
        texts=texts,
        takers=item_popularity(histories),
        popularity=recent_popularity(histories),
        blend=blend,
    )


def fit_ranker(
    histories: Histories,
    items: Sequence[CatalogueItem],
    *,
    recipe: RecommendRecipe,
    seed: int,
    encode: Encode,
    part: str | None = None,
    catalogue: CatalogueTexts | None = None,
) -> tuple[ScoreUsers, Floats]:
    """What an evaluation needs: the scores of users, of all parts or one, and the unit vectors
    (float32 [n, d]) that diversity is measured with. Without ``catalogue`` the items are read."""
    catalogue = catalogue or read_catalogue(items, encode, seed=seed)
    fitted = fit_recommender(histories, catalogue, recipe=recipe, seed=seed).recommender
    return (fitted.score_users if part is None else fitted.only(part)), fitted.texts.encoded


def text_only(
    items: Sequence[CatalogueItem], encode: Encode, *, seed: int = 0
) -> tuple[TextSpace, ItemTexts]:
    """A catalogue of which no behaviour is known: its texts, and a tower that leaves them as they
    are. An empty one too."""
    texts = [item.whole for item in items]
    encoded = read_texts(texts, encode)
    learnt_from = (texts, encoded) if texts else (["item"], encode(["item"]))
    features = TextFeatures.fit(*learnt_from, seed=seed)
    words = features.words(learnt_from[0])[: len(texts)]
    dense = features.dense(words, encoded)
    tower = ItemTower.of_texts(dense, RecommendRecipe().tower_dimensions)
    space = TextSpace(features, tower)
    return space, space.of_words(words, encoded, dense)


def _behaviour(
    histories: Histories,
    catalogue: CatalogueTexts,
    recipe: RecommendRecipe,
    seed: int,
    say: Say,
) -> Behaviour:
    if histories.items <= MOST_ITEMS_SOLVED:
        size = bytes_to_solve(histories.items) / 2**20
        say(f"solving {histories.items:,} items whole: {size:,.0f} MiB")
        meanings = catalogue.features.meanings(catalogue.encoded)
        return LinearBehaviour(fit_sequence_linear(histories, catalogue.words, recipe, meanings))
    say(f"{histories.items:,} items are too many to solve whole: fitting factors")
    options = AlsOptions(seed=seed)
    return FactorBehaviour(fit_als(histories, catalogue.dense, options=options))
