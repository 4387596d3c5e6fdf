"""How good a bundle was on what users did next: accuracy, coverage, and its parts alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from apps.recommend.page_parts.catalogue_head import show_head, synthetic_notice, tenant_of_reader
from apps.recommend.page_parts.report_tables import (
    METRICS,
    ablation_table,
    ranking_table,
    shown_value,
    trade_off_chart,
    trade_off_frame,
)
from shared.api.recommend_operations import BundleShape
from shared.ui.connection import api, needed
from shared.ui.model_card import value_at
from shared.ui.reader import local
from shared.ui.wording import counted, plain

HEADLINE = ("recall", "ndcg", "coverage", "novelty", "diversity")

st.set_page_config(layout="wide")
client = api()
tenant = tenant_of_reader()


def choose(bundles: list[BundleShape]) -> BundleShape:
    """The bundle whose report is read; the one in use at first."""
    by_version = {bundle.version: bundle for bundle in bundles}
    in_use = next((place for place, bundle in enumerate(bundles) if bundle.in_use), 0)
    version = st.selectbox(
        "Bundle",
        list(by_version),
        index=in_use,
        format_func=lambda one: f"{one}{' · in use' if by_version[one].in_use else ''}",
        width=420,
    )
    return by_version[version]


def show_headline(metrics: Mapping[str, Any]) -> None:
    """The numbers to know first, all at 10."""
    with st.container(horizontal=True):
        for metric in METRICS:
            if metric.name in HEADLINE:
                st.metric(
                    f"{metric.title}@10",
                    shown_value(metric, value_at(metrics, f"{metric.name}@10")),
                    help=metric.meaning,
                    border=True,
                    width=156,
                )


def basis_of(bundle: BundleShape) -> str:
    """What was measured on, in one line."""
    card = bundle.card
    data = card.get("data") or {}
    facts = [str(data["name"])] if data.get("name") else []
    facts += [
        counted(int(data[many]), many[:-1])
        for many in ("items", "users", "events")
        if data.get(many) is not None
    ]
    if card.get("protocol"):
        facts.append(f"protocol {card['protocol']}")
    users = value_at(bundle.metrics, "users")
    if users is not None:
        facts.append(f"{counted(int(users), 'user')} tested")
    error = value_at(bundle.metrics, "standard_error")
    if error is not None:
        facts.append(f"standard error of recall@10 {error:.4f}")
    return " · ".join(facts)


def show_parts(bundle: BundleShape, bundles: list[BundleShape]) -> None:
    """Each part on its own, as a drawing and as a table."""
    frame = trade_off_frame(bundles, bundle)
    if len(frame):
        st.subheader("Accuracy against coverage", anchor=False)
        st.altair_chart(
            trade_off_chart(frame),
            alt="NDCG at 10 of each ranking against the share of the catalogue that it shows",
        )
        st.caption("Bars are 95 % intervals. Up is more accurate, right shows more of the items.")
    ablations = bundle.card.get("ablations")
    if isinstance(ablations, Mapping) and len(table := ablation_table(ablations)):
        st.subheader("Its parts alone", anchor=False)
        st.dataframe(
            table,
            hide_index=True,
            height="content",
            column_config={"what ranks": st.column_config.Column(width=140, pinned=True)},
        )


def show_descending(metrics: Mapping[str, Any]) -> None:
    """The users whose last pair descends, where a set without times was measured."""
    descending = metrics.get("descending")
    if not isinstance(descending, Mapping) or not descending:
        return
    st.subheader("Users whose last two items descend", anchor=False)
    st.caption(
        "This set has no times, and what happened on one day seems to stand in the order of ids. "
        "Of these users that order gives nothing away."
    )
    st.dataframe(ranking_table(descending), hide_index=True, height="content")


status = show_head(
    "Offline report",
    client,
    tenant,
    purpose="How well lists foretold what users took afterwards, on events held back from the fit.",
)
with needed():
    bundles = client.bundles(tenant=tenant).bundles
if not bundles:
    st.info(
        "No bundle was fitted yet. Fit one on the page Bundles and experiments, or with "
        "`triptych train recommend`.",
        icon=":material/model_training:",
    )
    st.stop()
bundle = choose(bundles)
st.caption(plain(f"{bundle.method} · made {local(bundle.created_at)} · {basis_of(bundle)}"))
if bundle.synthetic and not status.synthetic:
    synthetic_notice()
if len(table := ranking_table(bundle.metrics)):
    show_headline(bundle.metrics)
    show_parts(bundle, bundles)
    st.subheader("All metrics", anchor=False)
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={
            "metric": st.column_config.Column(width=140, pinned=True),
            "at 10": st.column_config.Column(width=80),
            "95 % interval": st.column_config.Column(width=130),
            "at 20": st.column_config.Column(width=80),
        },
    )
    show_descending(bundle.metrics)
else:
    st.info("Its card has no metrics: it was not measured.", icon=":material/analytics:")
with st.expander("The whole card", icon=":material/description:"):
    st.json(bundle.card, expanded=1)
