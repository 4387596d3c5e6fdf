"""The recommender's drawings and tables: what they hold, from numbers that are known."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apps.recommend.page_parts.experiment_results import (
    difference_words,
    rates_chart,
    results_table,
)
from apps.recommend.page_parts.map_chart import MOST_COLORS, OTHERS, legend_of, map_chart, map_frame
from apps.recommend.page_parts.report_tables import (
    ablation_table,
    ranking_table,
    trade_off_chart,
    trade_off_frame,
)
from shared.api.recommend_lists import MapPoint
from shared.api.recommend_operations import ArmDifference, ArmResult, BundleShape

pytestmark = pytest.mark.unit


def point(number: int, category: str | None) -> MapPoint:
    return MapPoint(id=f"i{number}", title=f"Item {number}", category=category, x=number, y=-number)


def bundle(version: str, ndcg: float, *, data: str = "shop", **card: object) -> BundleShape:
    metrics = {"ndcg@10": ndcg, "coverage@10": 0.5}
    return BundleShape(
        version=version,
        created_at=datetime(2026, 11, 24, tzinfo=UTC),
        in_use=False,
        method="slist",
        synthetic=False,
        metrics=metrics,
        card={"data": {"name": data}, "metrics": metrics, **card},
    )


def test_small_categories_share_a_colour_and_none_is_lost() -> None:
    points = [point(n, f"c{n % (MOST_COLORS + 3)}") for n in range(10 * (MOST_COLORS + 3))]
    frame = map_frame(points)
    legend = legend_of(frame, [])
    assert len(legend) == MOST_COLORS + 1
    assert legend[-1][0] == OTHERS
    assert sum(count for _, _, count in legend) == len(points)
    assert len({color for _, color, _ in legend}) == MOST_COLORS + 1


def test_a_category_keeps_its_colour_when_others_are_hidden() -> None:
    frame = map_frame([point(n, "Books" if n % 3 else "Home") for n in range(9)])
    both = {name: color for name, color, _ in legend_of(frame, [])}
    ((name, color, count),) = legend_of(frame, ["Home"])
    assert (name, color, count) == ("Home", both["Home"], 3)
    drawn = map_chart(frame, ["Home"]).to_dict()
    (rows,) = drawn["datasets"].values()
    assert {row["category"] for row in rows} == {"Home"}
    scale = drawn["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == both


def test_an_item_without_a_category_is_drawn_too() -> None:
    assert map_frame([point(1, None)])["category"].tolist() == ["no category"]


def test_the_table_leaves_out_what_a_card_does_not_say() -> None:
    table = ranking_table({"recall@10": 0.1234, "intervals": {"recall@10": [0.1, 0.15]}})
    (row,) = table.to_dict("records")
    assert (row["at 10"], row["95 % interval"], row["at 20"]) == ("0.123", "0.100 to 0.150", "–")
    assert len(ranking_table({})) == 0


def test_ablations_stand_in_one_order_with_gaps_as_dashes() -> None:
    table = ablation_table({"popular": {"ndcg@10": 0.04}, "all": {"ndcg@10": 0.2, "recall@10": 1}})
    assert table["what ranks"].tolist() == ["all together", "popularity only"]
    assert table["Recall@10"].tolist() == ["1.000", "–"]


def test_only_bundles_measured_on_the_same_data_stand_beside_it() -> None:
    chosen = bundle("b", 0.2, ablations={"text": {"ndcg@10": 0.1, "coverage@10": 0.9}})
    others = [chosen, bundle("a", 0.18), bundle("c", 0.4, data="another shop")]
    frame = trade_off_frame(others, chosen)
    assert frame["label"].tolist() == ["text only", "this bundle", "a"]
    assert frame["ndcg"].tolist() == [0.1, 0.2, 0.18]
    layers = trade_off_chart(frame).to_dict()["layer"]
    above = {
        layer["mark"]["dy"] < 0
        for layer in layers
        if layer["mark"]["type"] == "text" and "this bundle" in str(layer["transform"])
    }
    assert above == {True}  # the parts' names stand below, so that near points are told apart


def arm(name: str, rate: float | None) -> ArmResult:
    return ArmResult(
        name=name,
        impressions=100 if rate is not None else 0,
        clicks=round((rate or 0) * 100),
        rate=rate,
        low=None if rate is None else rate - 0.02,
        high=None if rate is None else rate + 0.02,
    )


def test_an_arm_without_lists_has_no_rate_and_no_point() -> None:
    arms = [arm("a", 0.1), arm("b", None)]
    assert results_table(arms)["rate"].tolist() == ["10.0 %", "–"]
    drawn = rates_chart(arms).to_dict()
    (rows,) = drawn["datasets"].values()
    assert [row["arm"] for row in rows] == ["a"]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.05, "better"),
        (-0.05, -0.01, "worse"),
        (-0.01, 0.03, "not told apart from it so far"),
    ],
)
def test_a_difference_is_called_by_its_interval(low: float, high: float, verdict: str) -> None:
    difference = ArmDifference(name="b", difference=(low + high) / 2, low=low, high=high)
    assert difference_words(difference, "a").endswith(f": {verdict}.")
