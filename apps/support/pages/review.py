"""What people teach the desk: queued messages, groups that look like intents, a new intent."""

from __future__ import annotations

import streamlit as st

from shared.api.support import AddIntentReport, IntentProposal, ReviewItem
from shared.client import ApiError
from shared.records import OUT_OF_SCOPE
from shared.ui.confidence import action_badge, intent_bars
from shared.ui.connection import api, needed, show_error
from shared.ui.reader import local, reader_name
from shared.ui.wording import counted, percent, plain, shortened, title_of

VIEWS = ("Queue", "Proposed intents", "Add an intent")

st.set_page_config(layout="centered")
state = st.session_state
state.setdefault("review_view", VIEWS[0])
client = api()


def resolve(message_id: int, intent: str | None, author: str) -> None:
    """Store a person's word on a message before the page is drawn again."""
    try:
        client.review(message_id, intent, author=author)
        state["review_done"] = "Set aside" if intent is None else f"Saved as {title_of(intent)}"
    except ApiError as error:
        state["review_error"] = error


def make_intent_of(proposal: IntentProposal) -> None:
    """Carry a proposal over into the form."""
    state["review_view"] = VIEWS[2]
    state["intent_name"] = proposal.name
    state["intent_examples"] = "\n".join(" ".join(text.split()) for text in proposal.texts)


def show_item(item: ReviewItem, intents: dict[str, str], author: str) -> None:
    """The message in front, the model's guess, and what a person can say of it."""
    signed = None if author else "Write your name first"
    with st.container(border=True):
        st.text(item.text)
        with st.container(horizontal=True, vertical_alignment="center"):
            action_badge(item.action)
            st.caption(
                f"{percent(item.confidence)} sure · {local(item.created_at)}", width="content"
            )
        intent_bars(item.ranked)
        best = item.ranked[0].intent
        with st.container(horizontal=True):
            for label, intent, kind, icon in (
                (f"Right: {title_of(best)}", best, "primary", ":material/check:"),
                ("Out of scope", OUT_OF_SCOPE, "secondary", ":material/block:"),
                ("Skip", None, "tertiary", ":material/skip_next:"),
            ):
                st.button(
                    label,
                    key=f"review-{item.message_id}-{intent}",
                    type=kind,  # type: ignore[arg-type]
                    icon=icon,
                    disabled=not author,
                    help=signed,
                    on_click=resolve,
                    args=(item.message_id, intent, author),
                )
        likely = [score.intent for score in item.ranked[1:]]
        others = likely + [name for name in intents if name not in likely and name != best]
        with st.container(horizontal=True, vertical_alignment="bottom"):
            right = st.selectbox(
                "It is another intent",
                others,
                index=None,
                format_func=lambda name: intents.get(name, title_of(name)),
                placeholder="Choose the right one",
                key=f"correct-{item.message_id}",
                width=300,
            )
            st.button(
                "Correct",
                key=f"save-{item.message_id}",
                icon=":material/edit:",
                disabled=not (author and right),
                help=signed,
                on_click=resolve,
                args=(item.message_id, right, author),
            )


def show_queue(author: str) -> None:
    """One message at a time, the most telling first, and what comes after it."""
    with needed():
        queue = client.review_queue()
        intents = {intent.name: intent.title for intent in client.intents().intents}
    if not queue.items:
        st.success("Nothing waits for a look.", icon=":material/done_all:")
        return
    st.caption(
        f"{counted(queue.total, 'message waits', 'messages wait')}, "
        "the least certain and most different first."
    )
    show_item(queue.items[0], intents, author)
    if len(queue.items) > 1:
        st.caption("Next in the queue")
        st.dataframe(
            [
                {
                    "message": shortened(item.text, 90),
                    "guess": title_of(item.ranked[0].intent),
                    "sure": item.confidence * 100,
                }
                for item in queue.items[1:]
            ],
            hide_index=True,
            column_config={
                "message": st.column_config.TextColumn(width="large"),
                "guess": st.column_config.TextColumn(width="small"),
                "sure": st.column_config.NumberColumn(format="%.0f %%", width=70),
            },
        )


def show_proposals() -> None:
    """Groups of messages that no intent fits."""
    with needed():
        proposals = client.proposals()
    if not proposals:
        st.info(
            "No group of out-of-scope messages is large and alike enough yet.",
            icon=":material/scatter_plot:",
        )
    for place, proposal in enumerate(proposals):
        with st.container(border=True):
            st.markdown(f"**{plain(title_of(proposal.name))}**")
            st.caption(
                f"{counted(proposal.size, 'message')}, "
                f"{percent(proposal.cohesion)} alike on average"
            )
            st.text("\n".join(f"• {shortened(text, 120)}" for text in proposal.texts[:6]))
            st.button(
                "Make this an intent",
                key=f"propose-{place}",
                icon=":material/add:",
                on_click=make_intent_of,
                args=(proposal,),
            )


def show_report(report: AddIntentReport) -> None:
    """What a new intent changed."""
    change = (
        f"{percent(report.accuracy_before, 1)} of the known messages were right before, "
        f"{percent(report.accuracy_after, 1)} are now."
    )
    if report.largest_loss_intent and report.largest_loss > 0:
        change += (
            f" {plain(title_of(report.largest_loss_intent))} lost the most: "
            f"{report.largest_loss:.1f} points."
        )
    else:
        change += " No other intent lost anything."
    if report.promoted:
        st.success(f"**Live after {report.seconds:.1f} s.** {change}", icon=":material/bolt:")
    else:
        st.warning(
            f"**Made in {report.seconds:.1f} s, but not put in use:** {plain(report.reason)}  \n"
            f"{change}",
            icon=":material/front_hand:",
        )
    st.caption(f"Version {report.version}, before {report.previous}")


def show_form(author: str) -> None:
    """A new intent, live in seconds."""
    with st.form("new_intent"):
        name = st.text_input(
            "Name", key="intent_name", max_chars=80, placeholder="gift_wrapping",
            help="Small letters, digits and underscores",
        )  # fmt: skip
        reply = st.text_area("Answer", key="intent_answer", max_chars=8_000, height=90)
        lines = st.text_area(
            "Examples, one a line",
            key="intent_examples",
            height=200,
            help="At least three; ten varied ones are better",
        )
        sent = st.form_submit_button(
            "Teach it", type="primary", icon=":material/school:", disabled=not author
        )
    if not author:
        st.caption("Write your name above first.")
    if not sent:
        return
    wanted = "_".join((name or "").strip().casefold().replace("-", " ").split())
    examples = [line.strip() for line in (lines or "").splitlines() if line.strip()]
    if len(examples) < 3:
        st.error("An intent needs at least three examples, one a line.", icon=":material/error:")
        return
    try:
        with st.spinner("Learning…"):
            report = client.add_intent(wanted, answer=reply or "", examples=examples, author=author)
    except ApiError as error:
        show_error(error)
        return
    show_report(report)


st.title("Review queue", anchor=False)
st.caption(
    "Messages that the bot was unsure of. Say what they mean, and the next training learns it. No "
    "customer is written to from here."
)
name = reader_name()
view = st.segmented_control(
    "What to review", VIEWS, key="review_view", label_visibility="collapsed", required=True
)
if problem := state.pop("review_error", None):
    show_error(problem)
if done := state.pop("review_done", None):
    st.toast(done, icon=":material/check:")
if view == VIEWS[1]:
    show_proposals()
elif view == VIEWS[2]:
    show_form(name)
else:
    show_queue(name)
