"""The bundles of a team: the fit that makes the next one, the one in use, and the way back."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from apps.recommend.page_parts.report_tables import METRICS, shown_value
from shared.api.recommend_operations import Bundles, BundleShape, PromotionRecord, RefitShape
from shared.client import ApiError, TriptychClient
from shared.ui.actions import PageActions
from shared.ui.connection import needed, show_error
from shared.ui.model_card import value_at
from shared.ui.reader import local
from shared.ui.wording import counted, plain

LOOK_AGAIN_SECONDS = 2.0
MOST_PROMOTIONS = 8
UNSIGNED = "Write your name first"
UNDER_WAY = ("waiting", "running")
_STATES = {
    "idle": ("nothing under way", ":material/check_circle:", "green"),
    "waiting": ("waits for its turn", ":material/hourglass:", "orange"),
    "running": ("is being fitted", ":material/sync:", "blue"),
    "failed": ("failed", ":material/error:", "red"),
}
_SHOWN = ("recall", "ndcg", "coverage", "diversity")


def show_bundles(
    client: TriptychClient, page: PageActions, tenant: str | None, author: str
) -> None:
    """The fit, then every bundle with its switch, then what was in use when."""
    with needed():
        found = client.bundles(tenant=tenant)
    _show_refit(client, page, tenant, author, found)
    st.subheader("Bundles", anchor=False)
    if not found.bundles:
        st.info(
            "No bundle was fitted yet: lists go by text and popularity until then.",
            icon=":material/model_training:",
        )
    for bundle in found.bundles:
        _show_bundle(client, page, tenant, author, bundle)
    if found.promotions:
        _show_promotions(page, tenant, author, found.promotions)


def _show_refit(
    client: TriptychClient, page: PageActions, tenant: str | None, author: str, found: Bundles
) -> None:
    refit = found.refit
    under_way = refit.state in UNDER_WAY
    with st.container(border=True):

        @st.fragment(run_every=LOOK_AGAIN_SECONDS if under_way else None)
        def progress() -> None:
            """How far it is; once it is done the whole page is drawn anew."""
            state = refit
            if under_way:
                try:
                    state = client.refit_state(tenant=tenant)
                except ApiError as error:
                    show_error(error)
                    return
                if state.state not in UNDER_WAY:
                    st.rerun()
            _tell_refit(state, events_fitted(found))

        progress()
        st.button(
            "Fit again now",
            icon=":material/model_training:",
            type="primary",
            disabled=not author or under_way,
            help=UNSIGNED if not author else "runs in the background; the bundle in use serves on",
            on_click=page.act,
            args=("request_refit", "The fit is asked for"),
            kwargs={"author": author, "tenant": tenant},
        )


def events_fitted(found: Bundles) -> int:
    """How many events the last fit was made of, whether a refit or a training made it."""
    newest = found.bundles[0].card.get("data") if found.bundles else None
    trained_on = int(newest.get("events") or 0) if isinstance(newest, Mapping) else 0
    return max(found.refit.events_at_refit, trained_on)


def _tell_refit(refit: RefitShape, fitted: int) -> None:
    word, icon, color = _STATES[refit.state]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**The next fit**", width="content")
        st.badge(word, icon=icon, color=color)  # type: ignore[arg-type]
    new = max(0, refit.events_now - max(fitted, refit.events_at_refit))
    facts = [f"{counted(new, 'event')} since the last fit"]
    if refit.state == "running" and refit.started_at:
        facts.append(f"began {local(refit.started_at)}")
    elif refit.state == "waiting" and refit.requested_at:
        facts.append(f"asked for {local(refit.requested_at)}")
    elif refit.finished_at:
        facts.append(f"last ended {local(refit.finished_at)}")
    st.caption(" · ".join(facts))
    if refit.error:
        st.error(plain(refit.error), icon=":material/error:")


def _show_bundle(
    client: TriptychClient,
    page: PageActions,
    tenant: str | None,
    author: str,
    bundle: BundleShape,
) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(bundle.version)}**", width="content")
            if bundle.in_use:
                st.badge("in use", icon=":material/check_circle:", color="green")
            if bundle.synthetic:
                st.badge("synthetic behaviour", icon=":material/smart_toy:", color="orange")
        facts = [bundle.method, f"made {local(bundle.created_at)}"]
        for metric in METRICS:
            value = value_at(bundle.metrics, f"{metric.name}@10")
            if metric.name in _SHOWN and value is not None:
                facts.append(f"{metric.title}@10 {shown_value(metric, value)}")
        st.caption(plain(" · ".join(facts)))
        if bundle.in_use:
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            # The tick is read when the button is pressed: it holds for this bundle only.
            force = st.checkbox(
                "Even if the gate finds it worse",
                key=f"force-{bundle.version}",
                help="goes past the comparison on validation; the record says so",
            )
            if st.button(
                "Put in use",
                key=f"promote-{bundle.version}",
                icon=":material/upgrade:",
                disabled=not author,
                help=None if author else UNSIGNED,
            ):
                _promote(client, page, tenant, author, bundle.version, force=force)


def _promote(
    client: TriptychClient,
    page: PageActions,
    tenant: str | None,
    author: str,
    version: str,
    *,
    force: bool,
) -> None:
    try:
        with st.spinner("Comparing both on validation…"):
            done = client.promote_bundle(version, author=author, force=force, tenant=tenant)
    except ApiError as error:
        show_error(error)
        return
    page.say(f"{done.version} is in use now")
    st.rerun()


def _show_promotions(
    page: PageActions, tenant: str | None, author: str, promotions: list[PromotionRecord]
) -> None:
    st.subheader("What was in use when", anchor=False)
    before = promotions[0].previous
    st.button(
        "Roll back",
        icon=":material/undo:",
        disabled=not author or before is None,
        help=UNSIGNED if not author else f"to {before}" if before else "nothing was in use before",
        on_click=page.act,
        args=("rollback_bundle", "The bundle before is in use again"),
        kwargs={"author": author, "tenant": tenant},
    )
    for record in promotions[:MOST_PROMOTIONS]:
        forced = ", by force" if record.forced else ""
        st.markdown(
            f"{plain(local(record.at))}: **{plain(record.version)}**, by {plain(record.author)}"
            f"{forced}  \n:small[{plain(record.reason)}]"
        )
