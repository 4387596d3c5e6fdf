"""How good each version is, whether what comes is still like its data, and the switch."""

from __future__ import annotations

import streamlit as st

from shared.api.shapes import ModelVersionSummary, PromotionShape
from shared.client import ApiError
from shared.ui.connection import api, needed, show_error
from shared.ui.drift_panel import show_drift
from shared.ui.model_card import (
    comparison_chart,
    headline,
    history_chart,
    metrics_table,
    value_at,
)
from shared.ui.reader import local, reader_name
from shared.ui.report import embed_report
from shared.ui.wording import plain

APP = "support"

st.set_page_config(layout="wide")
state = st.session_state
client = api()


def switched(promotion: PromotionShape) -> None:
    """Say what was put in use, once the page is drawn anew."""
    state["model_done"] = (
        f"**{promotion.version} is in use now**"
        + (f" in place of {promotion.previous}" if promotion.previous else "")
        + (", by force" if promotion.forced else "")
        + f".  \n{plain(promotion.reason)}"
    )
    st.rerun()


def show_versions(versions: list[ModelVersionSummary]) -> None:
    """One line a version."""
    st.dataframe(
        [
            {
                "": "● in use" if version.in_use else "",
                "version": version.version,
                "made": local(version.created_at),
                "method": version.method,
                "accuracy": _hundred(version, "accuracy"),
                "macro F1": _hundred(version, "macro_f1"),
                "answered": _hundred(version, "coverage_at_target"),
                "wrong": _hundred(version, "error_at_target"),
                "encoder": version.encoder,
            }
            for version in versions
        ],
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.1f %%", help=meaning)
            for name, meaning in (
                ("accuracy", "share of test messages whose intent is right"),
                ("macro F1", "mean F1 over intents"),
                ("answered", "share that the bot answers itself"),
                ("wrong", "share of those that is wrong"),
            )
        },
    )


def _hundred(version: ModelVersionSummary, path: str) -> float | None:
    value = value_at(version.metrics, path)
    return None if value is None else value * 100


def show_switch(version: ModelVersionSummary) -> None:
    """Put this version in use, or the one before back."""
    with st.container(border=True):
        st.markdown("**Switch**")
        author = reader_name()
        force = st.checkbox(
            "Even if the gate finds it worse",
            key=f"model_force-{version.version}",  # a tick holds for one version only
            help="Goes past the comparison on the gate split. The record says that it was forced.",
            disabled=version.in_use,
        )
        with st.container(horizontal=True):
            promote = st.button(
                "Put this version in use",
                type="primary",
                icon=":material/upgrade:",
                disabled=version.in_use or not author,
                help="It is in use already" if version.in_use else None,
            )
            back = st.button("Roll back", icon=":material/undo:", disabled=not author)
        try:
            if promote:
                with st.spinner("Comparing both on the gate split…"):
                    done = client.promote(APP, version.version, author=author, force=force)
                switched(done)
            elif back:
                switched(client.rollback(APP, author=author))
        except ApiError as error:
            show_error(error)


st.title("Model", anchor=False)
with st.container():  # there in every run, so that what stands below keeps its place and its tab
    if done := state.pop("model_done", None):
        st.success(done, icon=":material/check_circle:")
with needed():
    versions = client.models(APP)
if not versions:
    st.info(
        "No model was trained yet. Train one on the sample that comes along:  \n"
        "`triptych train support --data sample:support`",
        icon=":material/model_training:",
    )
    st.stop()

in_use = next((version for version in versions if version.in_use), None)
by_name = {version.version: version for version in versions}
name = st.selectbox(
    "Version",
    list(by_name),
    index=versions.index(in_use) if in_use else 0,
    format_func=lambda name: f"{name} · {by_name[name].method}",
    key="model_version",
    width=460,
)
version = by_name[name]
if version.in_use:
    st.badge("in use", icon=":material/check_circle:", color="green")
else:
    st.badge("kept, not in use", icon=":material/inventory_2:", color="gray")
with needed():
    card = client.model(APP, version.version).card
target = value_at(card, "thresholds.target_error")
beside = in_use.metrics if in_use and not version.in_use else None
headline(version.metrics, target)
if card.get("thresholds", {}).get("certified") is False:
    st.warning(
        "**The bot answers nothing itself with this version:** on its validation messages no "
        "confidence was shown to keep the share of wrong answers below the target. It asks back "
        "and hands over. More labelled messages help.",
        icon=":material/front_hand:",
    )

metrics_tab, drift_tab, report_tab, versions_tab, card_tab = st.tabs(
    ["Metrics", "Drift", "Report", "Versions and switch", "Model card"]
)
with metrics_tab:
    st.altair_chart(comparison_chart(version.metrics, version.version, beside))
    if beside is not None:
        st.caption("Bars: this version. Orange ticks: the version in use.")
    st.dataframe(
        metrics_table(version.metrics, beside),
        hide_index=True,
        height="content",
        column_config={
            "metric": st.column_config.Column(width=175, pinned=True),
            "value": st.column_config.Column(width=75),
            "95 % interval": st.column_config.Column(width=130),
            "in use": st.column_config.Column(width=75),
        },
    )
    if card.get("reason"):
        st.caption(f"Why this method: {plain(str(card['reason']))}")
with drift_tab:
    show_drift(client, APP)
with report_tab:
    try:
        page = client.model_report(APP, version.version)
    except ApiError as error:
        show_error(error)
    else:
        embed_report(page, file_name=f"{version.version}.html")
with versions_tab:
    show_versions(versions)
    left, right = st.columns(2, gap="medium")
    with left:
        show_switch(version)
    with right:
        if any(value_at(one.metrics, "accuracy") is not None for one in versions):
            st.caption("Accuracy on each version's test part, with its 95 % interval")
            st.altair_chart(history_chart(versions))
with card_tab:
    limits = card.get("limits") or []
    if limits:
        st.markdown("**Limits**")
        st.markdown("\n".join(f"- {plain(str(limit))}" for limit in limits))
    st.markdown("**The whole card**")
    st.json({key: value for key, value in card.items() if key != "labels"}, expanded=1)
    labels = card.get("labels") or []
    with st.expander(f"{len(labels)} intents"):
        st.text(", ".join(map(str, labels)))
