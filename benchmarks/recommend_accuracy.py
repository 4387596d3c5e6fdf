"""What the recommender, its parts, the baselines and the peers find: one evaluator, same lists.

One function a part of the table of ``benchmarks.recommend``; each hands on what it measured as it
goes. All models of a part are fitted on the same train, in this process, with the same threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.recommend.measuring import Protocol, measure, summary_of, tasks_of
from benchmarks.recommend_peers import implicit_als, implicit_neighbours, irspack_als
from models.encoder import TextEncoder
from models.encoder_store import load_encoder
from models.recommendation import baselines
from models.recommendation.behaviour import LinearBehaviour
from models.recommendation.factors import factor_weights
from models.recommendation.fitting import CatalogueTexts, fit_recommender, read_catalogue
from models.recommendation.history_matrix import weighted_histories
from models.recommendation.recipe import RecommendRecipe
from models.recommendation.recommender import Recommender
from shared.catalogue import CatalogueItem
from shared.evaluation.ranking import FitRanker, Scores, ScoreUsers
from shared.histories import Histories, Rows, histories_of
from shared.settings import Settings

Keep = Callable[[str, Any], None]
Say = Callable[[str], None]

FACTORS = 256


@dataclass
class Bench:
    """A data set with its texts read once, and the recommender fitted last."""

    histories: Histories
    items: tuple[CatalogueItem, ...]
    encoder: TextEncoder
    catalogue: CatalogueTexts
    seed: int
    say: Say
    fitted_on: Histories | None = None
    fitted: Recommender | None = None
    models: Sequence[str] | None = None

    @classmethod
    def load(cls, name: str, seed: int, say: Say, models: Sequence[str] | None = None) -> Bench:
        from apps.recommend.named_data import load_named

        settings = Settings()
        data = load_named(name, settings, datetime.now(UTC), progress=lambda *_: None)
        histories = histories_of(data.events, [item.id for item in data.items])
        encoder = load_encoder(settings.encoder)
        catalogue = read_catalogue(data.items, encoder.embed, seed=seed)
        return cls(histories, data.items, encoder, catalogue, seed, say, models=models)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors that were read; texts are those of the catalogue, in its order."""
        assert tuple(texts) == self.catalogue.texts
        return self.catalogue.encoded

    def recommender(self, train: Histories, catalogue: CatalogueTexts | None = None) -> Recommender:
        """Fitted on a train; the last one is kept, for parts of it and approximations."""
        if catalogue is not None:
            return self._fit(train, catalogue)
        if self.fitted is None or self.fitted_on is not train:
            self.fitted, self.fitted_on = self._fit(train, self.catalogue), train
        return self.fitted

    def _fit(self, train: Histories, catalogue: CatalogueTexts) -> Recommender:
        recipe = RecommendRecipe()
        return fit_recommender(train, catalogue, recipe=recipe, seed=self.seed).recommender

    def triptych(self, part: str | None = None) -> FitRanker:
        """The recommender, or one part of it alone."""

        def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
            fitted = self.recommender(train)
            return fitted.score_users if part is None else fitted.only(part)

        return fit

    def permuted(self) -> FitRanker:
        """The recommender with every text given to another item: what the text itself brings."""

        def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
            order = np.random.default_rng(seed).permutation(len(items))
            mixed = replace(
                self.catalogue,
                texts=tuple(self.catalogue.texts[row] for row in order),
                encoded=self.catalogue.encoded[order],
                words=self.catalogue.words[order],  # type: ignore[index]
                dense=self.catalogue.dense[order],
            )
            return self.recommender(train, mixed).score_users

        return fit

    def factored(self, *, rescored: bool, candidates: int = 200) -> FitRanker:
        """The recommender searched by FAISS over factors of its matrix and its texts.

        The matrix of items is cut to ``FACTORS`` directions (models/recommendation/factors.py); one
        inner product then covers behaviour and text. ``rescored``: the candidates found get their
        exact score, else that of the factors.
        """

        def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
            return _through_faiss(
                self.recommender(train), train, candidates=candidates, rescored=rescored, seed=seed
            )

        return fit

    def run(
        self, name: str, fit: FitRanker, protocol: Protocol, keep: Keep, part: str, **options: Any
    ) -> None:
        """Measure one model under one protocol and hand it on, unless others were asked for."""
        if self.models is not None and name not in self.models:
            return
        tasks = options.pop("tasks", None)
        tasks = tasks or tasks_of(self.histories, protocol, seed=self.seed, **options)
        measured = measure(fit, tasks, self.items, seed=self.seed, vectors=self.catalogue.encoded)
        found = summary_of(measured, protocol, timed=self.histories.timed, seed=self.seed)
        self.say(
            f"{part}: {name}: {found['recall@10']:.4f} / {found['ndcg@10']:.4f},"
            f" fit {measured.fit_seconds:.0f} s"
        )
        keep(
            part,
            {
                "model": name,
                "metrics": found,
                "seconds": {"fit": measured.fit_seconds, "rank": measured.rank_seconds},
            },
        )


def beauty(seed: int, keep: Keep, say: Say, only: Sequence[str] | None = None) -> None:
    """Leave-one-out on Amazon Beauty, refit and not; the whole recommender's approximations too."""
    bench = Bench.load("amazon-beauty", seed, say, only)
    models: dict[str, FitRanker] = {
        "popularity": baselines.popularity(),
        "MiniLM titles, recency-weighted mean": baselines.text_mean(bench.embed, decay=0.4),
        "item kNN": baselines.item_knn(),
        "directed item kNN": baselines.directed_item_knn(),
        "EASE": baselines.ease(),
        "implicit BM25 kNN": implicit_neighbours("BM25"),
        "implicit ALS": implicit_als(),
        "irspack iALS": irspack_als(None),
        "irspack iALS with item features": irspack_als(bench.embed),
        "Triptych": bench.triptych(),
        "Triptych, text only": bench.triptych("text"),
        "Triptych, behaviour only": bench.triptych("behaviour"),
        "Triptych, popularity only": bench.triptych("popular"),
    }
    refit = tasks_of(bench.histories, "leave-one-out")
    for name, fit in models.items():
        bench.run(name, fit, "leave-one-out", keep, "beauty, refit", tasks=refit)
    for rescored, name in ((True, "candidates re-scored"), (False, "scores of the factors")):
        fit = bench.factored(rescored=rescored)
        name = f"Triptych through FAISS, 256 factors, {name}"
        bench.run(name, fit, "leave-one-out", keep, "beauty, refit", tasks=refit)
    name = "Triptych, titles permuted (control)"
    bench.run(name, bench.permuted(), "leave-one-out", keep, "beauty, refit", tasks=refit)
    shown = tasks_of(bench.histories, "leave-one-out", refit=False)
    for name in ("EASE", "directed item kNN", "implicit ALS", "irspack iALS with item features",
                 "Triptych"):  # fmt: skip
        bench.run(name, models[name], "leave-one-out", keep, "beauty, no refit", tasks=shown)


def cold(seed: int, keep: Keep, say: Say, only: Sequence[str] | None = None) -> None:
    """Amazon Beauty with a tenth of its items unseen in training, and with unseen users."""
    bench = Bench.load("amazon-beauty", seed, say, only)
    models: dict[str, FitRanker] = {
        "MiniLM titles, recency-weighted mean": baselines.text_mean(bench.embed, decay=0.4),
        "irspack iALS with item features": irspack_als(bench.embed),
        "Triptych": bench.triptych(),
        "Triptych, text only": bench.triptych("text"),
    }
    tasks = tasks_of(bench.histories, "cold-items", seed=seed)
    for name, fit in models.items():
        bench.run(name, fit, "cold-items", keep, "beauty, cold items", tasks=tasks)
    tasks = tasks_of(bench.histories, "cold-users", seed=seed)
    for name, fit in {"popularity": baselines.popularity(), "Triptych": bench.triptych()}.items():
        bench.run(name, fit, "cold-users", keep, "beauty, cold users", tasks=tasks)


def movielens(
    seed: int, keep: Keep, say: Say, only: Sequence[str] | None = None, *, windows: int = 10
) -> None:
    """MovieLens small in rolling windows of a year; each model is fitted before each window."""
    bench = Bench.load("movielens-small", seed, say, only)
    tasks = tasks_of(bench.histories, "temporal", windows=windows)
    models: dict[str, FitRanker] = {
        "popularity": baselines.popularity(),
        **{f"popularity of {d} days": baselines.recent_popularity(d) for d in (30, 90, 365)},
        "item kNN": baselines.item_knn(),
        "directed item kNN": baselines.directed_item_knn(),
        "EASE": baselines.ease(),
        "implicit BM25 kNN": implicit_neighbours("BM25"),
        "implicit ALS": implicit_als(),
        "irspack iALS with item features": irspack_als(bench.embed),
        "Triptych": bench.triptych(),
    }
    for name, fit in models.items():
        bench.run(name, fit, "temporal", keep, "movielens", tasks=tasks)


def _through_faiss(
    fitted: Recommender, fitted_on: Histories, *, candidates: int, rescored: bool, seed: int
) -> ScoreUsers:
    import faiss

    if not isinstance(fitted.behaviour, LinearBehaviour):
        raise SystemExit("this catalogue is searched by factors already")
    shown_then, _ = weighted_histories(fitted_on, np.arange(fitted_on.users), fitted.blend.decay)
    left, right = factor_weights(
        fitted.behaviour.weights, shown_then, dimensions=FACTORS, seed=seed
    )
    behaviour = np.where(fitted.fitted[:, None], right, 0.0)
    texts = fitted.texts.offered * fitted.blend.text_weights(fitted.fitted)[:, None]
    offered = np.ascontiguousarray(np.hstack([behaviour, texts]), np.float32)
    taken = np.hstack([left, fitted.texts.taken]).astype(np.float32)
    index = faiss.IndexFlatIP(offered.shape[1])
    index.add(offered)

    def score(histories: Histories, users: Rows) -> Scores:
        weighted, _ = weighted_histories(histories, users, fitted.blend.decay)
        shown = np.asarray(weighted @ taken, np.float32)
        longest = max(len(histories.of_user(int(user))) for user in users)
        near, rows = index.search(shown, candidates + longest)
        if rescored:
            near = np.take_along_axis(fitted.score_users(histories, users), rows, axis=1)
        scores = np.full((len(users), histories.items), -np.inf, np.float32)
        np.put_along_axis(scores, rows, near, axis=1)
        return scores

    return score
