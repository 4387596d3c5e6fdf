"""A/B tests: a form that starts one, and each with its results and the way to end it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from apps.recommend.page_parts.bundle_controls import UNSIGNED
from apps.recommend.page_parts.experiment_results import (
    difference_words,
    rates_chart,
    results_table,
    settings_words,
)
from shared.api.recommend_operations import ExperimentShape
from shared.client import ApiError, TriptychClient
from shared.ui.actions import PageActions
from shared.ui.connection import needed, show_error
from shared.ui.reader import local
from shared.ui.wording import percent, plain

FIRST = "as it is"


def show_experiments(
    client: TriptychClient, page: PageActions, tenant: str | None, author: str
) -> None:
    """The form, then every experiment, newest first."""
    with needed():
        experiments = client.experiments(tenant=tenant)
    _show_form(client, page, tenant, author)
    running = [one for one in experiments if one.state == "running"]
    if len(running) > 1:
        st.warning(
            f"{len(running)} experiments run: the newest, “{plain(running[0].name)}”, decides.",
            icon=":material/warning:",
        )
    if not experiments:
        st.info(
            "No experiment yet. One shows a part of the users another kind of list, and counts "
            "what they click.",
            icon=":material/science:",
        )
    for experiment in experiments:
        _show_experiment(client, page, tenant, author, experiment)


def _show_experiment(
    client: TriptychClient,
    page: PageActions,
    tenant: str | None,
    author: str,
    experiment: ExperimentShape,
) -> None:
    runs = experiment.state == "running"
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(experiment.name)}**", width="content")
            st.badge(experiment.state, color="green" if runs else "gray")
        ended = f", stopped {local(experiment.stopped_at)}" if experiment.stopped_at else ""
        st.caption(
            f"by {plain(experiment.created_by)}, since {local(experiment.created_at)}{ended}"
        )
        whole = sum(arm.share for arm in experiment.arms)
        for arm in experiment.arms:
            st.markdown(
                f"{plain(arm.name)}: {percent(arm.share / whole)} of the users, "
                f"{plain(settings_words(arm.settings))}"
            )
        _show_results(client, tenant, experiment)
        signed = None if author else UNSIGNED
        if runs:
            st.button(
                "Stop",
                key=f"stop-{experiment.id}",
                icon=":material/stop_circle:",
                disabled=not author,
                help=signed,
                on_click=page.act,
                args=("stop_experiment", f"{experiment.name} is stopped", experiment.id),
                kwargs={"author": author, "tenant": tenant},
            )
            return
        with st.popover("Delete", icon=":material/delete:", type="tertiary"):
            st.caption("The experiment is forgotten with what was counted.")
            st.button(
                "Delete it",
                key=f"delete-{experiment.id}",
                type="primary",
                disabled=not author,
                help=signed,
                on_click=page.act,
                args=("delete_experiment", f"{experiment.name} is deleted", experiment.id),
                kwargs={"author": author, "tenant": tenant},
            )


def _show_results(client: TriptychClient, tenant: str | None, experiment: ExperimentShape) -> None:
    try:
        found = client.experiment_results(experiment.id, tenant=tenant)
    except ApiError as error:
        show_error(error)
        return
    if any(arm.rate is not None for arm in found.arms):
        st.altair_chart(
            rates_chart(found.arms),
            alt=f"The click rate of each arm of {experiment.name} with its interval",
        )
    st.dataframe(results_table(found.arms), hide_index=True, height="content")
    for difference in found.differences:
        st.caption(plain(difference_words(difference, found.arms[0].name)))


def _show_form(client: TriptychClient, page: PageActions, tenant: str | None, author: str) -> None:
    """Two arms: lists as they are, and lists that are set otherwise."""
    with (
        st.expander("Start an experiment", icon=":material/add:"),
        st.form("new_experiment", border=False),
    ):
        name = st.text_input("Name", max_chars=120, placeholder="more variety")
        arm = st.text_input("Name of the other arm", max_chars=60, value="varied")
        share = st.slider("Users in the other arm (%)", 5, 95, 50, 5)
        st.caption("What it sets; what stays at 0 or empty is as asked for.")
        with st.container(horizontal=True, gap="medium"):
            wanted: dict[str, Any] = {
                "diversity": st.slider("Diversity", 0.0, 1.0, 0.3, 0.05, width=220),
                "exploration": st.slider("Exploration", 0.0, 1.0, 0.0, 0.05, width=220),
                "damping": st.slider("Damping", 0.0, 1.0, 0.0, 0.05, width=220),
                "category_cap": st.number_input(
                    "At most of a category", 1, 200, value=None, placeholder="any", width=180
                ),
            }
        sent = st.form_submit_button(
            "Start it", type="primary", disabled=not author, help=None if author else UNSIGNED
        )
        if not sent:
            return
        arms = [
            {"name": FIRST, "share": round(1 - share / 100, 2)},
            {
                "name": (arm or "").strip() or "other",
                "share": share / 100,
                "settings": {key: value for key, value in wanted.items() if value},
            },
        ]
        try:
            made = client.create_experiment(name or "", arms, author=author, tenant=tenant)
        except ApiError as error:
            show_error(error)
            return
        page.say(f"{made.name} runs from now on")
        st.rerun()
