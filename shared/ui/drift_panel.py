"""What an app reads now against what its version was made of, as a part of a page."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from shared.api.drift import AppDrift, DriftCheck, DriftSignal
from shared.client import ApiError, TriptychClient
from shared.ui.connection import show_error
from shared.ui.drift_charts import (
    drifting_since,
    signal_chart,
    signal_frame,
    standing,
    words_of,
)
from shared.ui.reader import local, reader_zone
from shared.ui.wording import ago, counted, plain

HOW_TO_READ = """\
A version is good for what is like the texts that it was made of. Each comparison measures how far
what came lately is from them, in several ways. The dashed line is the limit; a **red** point tells
drift: the change is above the limit **and** too large for chance. A dot alone is one comparison; a
new version begins a new line. `triptych drift show` prints the same numbers."""


def show_drift(client: TriptychClient, app: str, *, tenant: str | None = None) -> None:
    """How the app stands, each signal over time beside its limit, and what to do."""
    try:
        found = client.drift(app, tenant=tenant).apps
    except ApiError as error:
        show_error(error)
        return
    if not found:
        st.info("This API does not serve the app.", icon=":material/info:")
        return
    (drift,) = found
    _show_verdict(drift)
    measured = [check for check in drift.checks if check.signals]
    if not measured:
        return
    zone = reader_zone()
    shown = _fired_first(measured[-1])
    for first in range(0, len(shown), 2):  # by rows, so that they keep their order on a phone
        columns = st.columns(2, gap="medium")
        for column, signal in zip(columns, shown[first : first + 2], strict=False):
            with column, st.container(border=True):
                _show_signal(signal, measured)
                st.altair_chart(
                    signal_chart(signal_frame(measured, signal.name, zone)),
                    alt=f"{words_of(signal.name).title} at each comparison, beside its limit",
                    key=f"drift_{app}_{signal.name}",
                )
    with st.expander("How to read this"):
        st.markdown(HOW_TO_READ)


def _fired_first(check: DriftCheck) -> list[DriftSignal]:
    return sorted(check.signals, key=lambda one: not one.drifted)


def _show_verdict(drift: AppDrift) -> None:
    """The last comparison in words, or why there is none."""
    last = drift.checks[-1] if drift.checks else None
    if drift.version is None:
        st.info("No version is in use: there is nothing to compare.", icon=":material/info:")
        return
    if last is None or last.version != drift.version:
        what = "This version has not been compared yet" if last else "Not compared yet"
        st.info(f"**{what}.** {_what_is_there(drift)}", icon=":material/hourglass_empty:")
    elif last.verdict == "too few readings":
        st.info(
            f"**Too little to tell.** The comparison of {_when(last)} had"
            f" {counted(last.live, _thing(drift))}, and needs {drift.needed} on either side."
            f" {_what_is_there(drift)}",
            icon=":material/hourglass_empty:",
        )
    elif last.verdict == "drift":
        fired = [signal for signal in last.signals if signal.drifted]
        st.error(
            f"**{counted(len(fired), 'signal')} of {len(last.signals)} "
            f"{'tells' if len(fired) == 1 else 'tell'} drift**: {_listed(fired)}.  \n"
            f"{_compared(drift, last)}",
            icon=":material/trending_up:",
        )
    else:
        st.success(f"**No drift.** {_compared(drift, last)}", icon=":material/check_circle:")


def _what_is_there(drift: AppDrift) -> str:
    parts = []
    if drift.readings is not None:
        parts.append(
            f"{counted(drift.readings, 'reading')} of the {drift.needed} that are needed"
            f" {'is' if drift.readings == 1 else 'are'} kept of it so far."
            if drift.readings < drift.needed
            else f"{counted(drift.readings, 'reading')} are kept of it: enough."
        )
    if drift.every_hours is None:
        parts.append("Nobody compares by itself (`TRIPTYCH_DRIFT_HOURS` is 0).")
    else:
        parts.append(f"The API compares every {drift.every_hours:g} hours.")
    parts.append(f"Now: `triptych drift check {drift.app}`.")
    return " ".join(parts)


def _compared(drift: AppDrift, check: DriftCheck) -> str:
    return (
        f"Compared {_when(check)}: {counted(check.live, _thing(drift))} of late against"
        f" {check.reference:,} of what it was made of."
    )


def _thing(drift: AppDrift) -> str:
    return "event" if drift.app == "recommend" else "reading"


def _when(check: DriftCheck) -> str:
    return f"{plain(local(check.at))} ({ago(check.at, datetime.now(UTC))})"


def _listed(signals: list[DriftSignal]) -> str:
    return ", ".join(words_of(signal.name).title.lower() for signal in signals)


def _show_signal(signal: DriftSignal, checks: list[DriftCheck]) -> None:
    words = words_of(signal.name)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{words.title}**", width="content")
        if signal.drifted:
            st.badge("drift", icon=":material/trending_up:", color="red")
        else:
            st.badge("stable", icon=":material/check:", color="green")
    st.caption(f"{words.measure}: {plain(standing(signal))}", help=words.meaning or None)
    if signal.drifted:
        since = drifting_since(checks, signal.name)
        begun = f"Since {plain(local(since))}: " if since else ""
        st.markdown(f"{begun}{plain(signal.words)}.  \n{plain(signal.advice)}")
