"""The customer's chat, with what the desk thinks of each message beside it."""

from __future__ import annotations

import streamlit as st

from apps.support.transcript import owner_line, show_handover, show_messages
from shared.api.support import ChatReply, Conversation, Explanation, IntentScore
from shared.client import ApiError
from shared.ui.confidence import intent_bars, words_that_weighed
from shared.ui.connection import api, needed, show_error
from shared.ui.wording import percent, plain, title_of

POLL_SECONDS = 3
NONE_OF_THESE = "neither"

st.set_page_config(layout="centered")
state = st.session_state
state.setdefault("chat_replies", {})
state.setdefault("chat_explained", {})
client = api()


def say(text: str) -> None:
    """Send this when the page runs next."""
    state["chat_to_send"] = text


def start_anew() -> None:
    """Forget the chat; the next message begins another."""
    for key in ("chat_id", "chat_to_send", "chat_replies", "chat_explained"):
        state.pop(key, None)
    st.query_params.pop("conversation", None)


def send(text: str) -> None:
    """Send it now, and keep it for another try where that fails."""
    try:
        with st.spinner("Thinking…"):
            reply = client.chat(text, state.get("chat_id"))
    except ApiError as error:
        state["chat_unsent"] = text
        show_error(error)
        return
    state.pop("chat_unsent", None)
    state["chat_id"] = reply.conversation_id
    state["chat_replies"][reply.message_id] = reply


def show_explanation(text: str, message_id: int) -> None:
    """The words that weighed in, the other intents, and the nearest training examples."""
    known: dict[int, tuple[Explanation, list[IntentScore]]] = state["chat_explained"]
    if message_id not in known:
        try:
            with st.spinner("Looking into the model…"):
                ranked = client.classify([text]).results[0].ranked
                known[message_id] = (client.explain(text), ranked)
        except ApiError as error:
            show_error(error)
            return
    explanation, ranked = known[message_id]
    st.caption(f"Words for and against “{plain(title_of(explanation.intent))}”")
    words_that_weighed(explanation.tokens)
    st.caption("How probable each intent is")
    intent_bars(ranked, most=4)
    st.caption("The nearest training examples")
    st.dataframe(
        [
            {
                "alike": percent(near.similarity),
                "intent": title_of(near.intent),
                "example": near.text,
            }
            for near in explanation.neighbours
        ],
        hide_index=True,
        column_config={"alike": st.column_config.Column(width=60)},
    )


def show_after(conversation: Conversation, replies: dict[int, ChatReply]) -> None:
    """What belongs below the last turn: a question's options, the hand-over, the explanation."""
    asked = [message for message in conversation.messages if message.author == "customer"]
    if not asked:
        return
    reply = replies.get(asked[-1].id)
    if reply and reply.action == "clarify" and conversation.owner == "bot":
        with st.container(horizontal=True):
            for place, option in enumerate(reply.options):
                st.button(
                    title_of(option.intent),
                    key=f"option-{asked[-1].id}-{place}",
                    help=f"{percent(option.probability)} probable",
                    on_click=say,
                    args=(title_of(option.intent),),
                )
            st.button(
                "None of these",
                key=f"option-{asked[-1].id}-none",
                type="tertiary",
                on_click=say,
                args=(NONE_OF_THESE,),
            )
    if conversation.handover and conversation.owner == "waiting":
        show_handover(conversation.handover)
    if reply and reply.action and st.toggle("Why did it say so?", key=f"why-{asked[-1].id}"):
        show_explanation(asked[-1].text, asked[-1].id)


with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Chat", anchor=False, width="content")
    st.button("New chat", icon=":material/add_comment:", on_click=start_anew)

state.setdefault("chat_id", st.query_params.get("conversation"))
if text := state.pop("chat_to_send", None):
    send(text)

conversation = None
if state.get("chat_id"):
    try:
        conversation = client.conversation(state["chat_id"])
        st.query_params["conversation"] = state["chat_id"]
    except ApiError as error:
        if error.status not in (404, 422):
            show_error(error)
            st.stop()
        start_anew()
        st.info("That chat is no longer there. A new one begins with your next message.")

if conversation is None:
    st.caption(
        "Write as a customer would. The bot answers when it is sure, asks back when two intents "
        "are close, and calls a person otherwise."
    )
    with needed():
        known = client.intents().intents
    if known:
        st.caption(
            f"It knows {len(known)} intents, among them "
            + ", ".join(
                plain(intent.title.lower()) for intent in known[:: max(1, len(known) // 5)][:5]
            )
            + "."
        )
else:
    shown = conversation
    live = shown.owner in ("waiting", "person")
    owner_line(shown)

    @st.fragment(run_every=POLL_SECONDS if live else None)
    def transcript() -> None:
        """The turns, looked up again while a person may write."""
        current = shown
        if live:
            with needed():
                current = client.conversation(shown.id)
            if (current.owner, current.person) != (shown.owner, shown.person):
                st.rerun()
        show_messages(current.messages, state["chat_replies"])

    transcript()
    show_after(shown, state["chat_replies"])

if unsent := state.get("chat_unsent"):
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Not sent: “{plain(unsent)}”", width="content")
        st.button("Send again", icon=":material/replay:", on_click=say, args=(unsent,))

closed = conversation is not None and conversation.owner == "closed"
st.chat_input(
    "This chat is closed" if closed else "Your message",
    key="chat_typed",
    max_chars=8_000,
    disabled=closed,
    on_submit=lambda: say(state["chat_typed"]),
)
