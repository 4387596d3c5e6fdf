"""The data doctor: upload labelled messages, read what may be wrong with them."""

from __future__ import annotations

from itertools import groupby

import pandas as pd
import streamlit as st

from shared.api.support import CheckFinding, CheckReport
from shared.client import ApiError
from shared.ui.connection import api, show_error
from shared.ui.wording import plain, title_of

SEVERITIES = ("warning", "info")

st.set_page_config(layout="centered")
state = st.session_state
client = api()


def findings_table(findings: list[CheckFinding]) -> pd.DataFrame:
    """One line a finding: what, where, and the details in columns of their own."""
    return pd.DataFrame(
        [
            {
                "message": finding.message,
                "rows": ", ".join(map(str, finding.rows)),
                **{key: _cell(value) for key, value in finding.details.items()},
            }
            for finding in findings
        ]
    )


def _cell(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    return value if isinstance(value, int | str | bool) or value is None else str(value)


def show_report(report: CheckReport, name: str) -> None:
    """The counts, then the findings by kind, warnings first."""
    with st.container(horizontal=True):
        for label, value in (
            ("Rows", report.rows),
            ("Rejected", report.rejected),
            ("Intents", report.classes),
            ("Warnings", report.warnings),
        ):
            st.metric(label, f"{value:,}", border=True, width=160)
    if not report.findings:
        st.success("Nothing to mend.", icon=":material/done_all:")
    else:
        chosen = st.pills(
            "Show",
            SEVERITIES,
            selection_mode="multi",
            default=SEVERITIES,
            format_func=lambda severity: "Warnings" if severity == "warning" else "Remarks",
            label_visibility="collapsed",
        )
        shown = sorted(
            (finding for finding in report.findings if finding.severity in chosen),
            key=lambda finding: (SEVERITIES.index(finding.severity), finding.kind),
        )
        for (severity, kind), group in groupby(shown, lambda one: (one.severity, one.kind)):
            show_group(severity, kind, list(group))
    with st.container(horizontal=True):
        st.download_button(
            "Findings as CSV",
            flat_table(report).to_csv(index=False),
            file_name=f"{name}.findings.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "Report as JSON",
            report.model_dump_json(indent=2),
            file_name=f"{name}.check.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
        )
    st.caption(f"Checked in {report.seconds:.1f} s.")


def show_group(severity: str, kind: str, findings: list[CheckFinding]) -> None:
    """All findings of one kind."""
    warning = severity == "warning"
    color, icon = ("orange", ":material/warning:") if warning else ("blue", ":material/info:")
    with st.expander(f":{color}[{icon}] **{title_of(kind)}** · {len(findings)}", expanded=warning):
        if len(findings) == 1:
            st.markdown(plain(findings[0].message))
        st.dataframe(
            findings_table(findings),
            hide_index=True,
            column_config={
                "message": st.column_config.TextColumn(width="large"),
                "rows": st.column_config.TextColumn(width="small"),
            },
        )


def flat_table(report: CheckReport) -> pd.DataFrame:
    """The findings as one table, for a spreadsheet."""
    columns = ["severity", "kind", "message", "rows"]
    rows = [
        {
            "severity": finding.severity,
            "kind": finding.kind,
            "message": finding.message,
            "rows": " ".join(map(str, finding.rows)),
        }
        for finding in report.findings
    ]
    return pd.DataFrame(rows, columns=columns)


st.title("Data check", anchor=False)
st.caption(
    "A file with a message and its intent in each row. Looks for likely wrong labels, "
    "near-duplicates, intents that overlap, tiny classes, invisible characters and languages that "
    "the encoder does not know. Nothing of the file is kept."
)
upload = st.file_uploader(
    "Labelled messages", type=["csv", "tsv", "jsonl", "parquet"], max_upload_size=8
)
with st.expander("Columns", icon=":material/view_column:"), st.container(horizontal=True):
    text_column = st.text_input("Text", placeholder="guessed from usual names", width=250)
    label_column = st.text_input("Label", placeholder="guessed from usual names", width=250)
if upload is None:
    state.pop("check_report", None)
elif st.button("Check", type="primary", icon=":material/stethoscope:"):
    state.pop("check_report", None)
    try:
        with st.spinner("Reading every message…", show_time=True):
            state["check_report"] = (
                upload.name,
                client.check(
                    upload.name,
                    upload.getvalue(),
                    text_column=text_column or None,
                    label_column=label_column or None,
                ),
            )
    except ApiError as error:
        show_error(error)
if found := state.get("check_report"):
    checked, report = found
    st.subheader(plain(checked), anchor=False)
    show_report(report, checked)
