"""How the desk learns: an intent added at once, and a training on everything people corrected.

Both end in a new version that goes live only when it proves no worse. This module decides and
stores; ``apps.support.learning.versions`` makes, loads and promotes versions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, delete, insert, update

from apps.support.conversation.knowledge import APP
from apps.support.learning.comparison import ALLOWED_LOSS, Comparison, compare_recall
from apps.support.learning.corrections import with_corrections
from apps.support.learning.versions import LearningModels
from shared.api.support import AddIntentReport, AddIntentRequest
from shared.errors import Conflict, DataError, NotReady, PromotionRefused
from shared.evaluation.gate import GateReport, compare_on_gate
from shared.privacy import mask_personal_data
from shared.records import OUT_OF_SCOPE, Dataset, Example
from shared.storage.audit import record, recorded_within
from shared.storage.tables import feedback, intent_answers, messages

if TYPE_CHECKING:
    from data_connectors.data_source import DataSource
    from models.registry import ModelVersion
    from shared.finetuning.progress import ProgressReporter

LEAST_EXAMPLES = 3
GATE_SEED = 0


def add_intent(
    models: LearningModels,
    engine: Engine,
    request: AddIntentRequest,
    *,
    now: datetime,
    timer: Callable[[], float] = time.perf_counter,
) -> AddIntentReport:
    """Teach the version in use one more intent, and put the result in use if it harms no other.

    The head alone is fitted again, which takes seconds. Old and new version are then compared on
    the validation and gate examples of the old intents: when one of them loses more than 1 point
    of recall, or the gate refuses, nothing changes and the report says why. Else the answer is
    stored, the examples become feedback (so that every later training has them), messages of the
    review queue that are among them are done, and the version goes live.

    Personal data in the examples is masked. Conflict: the intent exists, or another version came
    into use meanwhile. DataError: fewer than 3 examples that differ. NotReady: no version is in
    use.
    """
    started = timer()
    base = models.in_use()
    if base is None:
        raise NotReady("no version is in use yet: run `triptych train support` first", app=APP)
    if request.name == OUT_OF_SCOPE:
        raise DataError(f"{OUT_OF_SCOPE!r} means none of the intents; choose another name")
    if request.name in base.card["labels"]:
        raise Conflict(
            f"the intent {request.name!r} exists; correct messages in the review queue and retrain"
            " to teach it more",
            intent=request.name,
        )
    given = distinct_examples(request)
    splits = models.splits(base)
    taught = [example for example in given if splits.get(example.key, "train") == "train"]
    if len(taught) < LEAST_EXAMPLES:
        raise DataError(
            f"{len(taught)} examples are left of {len(request.examples)} once repeats and texts"
            f" held out for tests are taken away; give at least {LEAST_EXAMPLES}",
            intent=request.name,
        )
    candidate = models.update_head(base, taught, now=now)
    comparison, gate = compare_versions(models, base, candidate, leaving_out=given)
    objection = comparison.objection()
    promoted, reason = False, objection or ""
    if objection is None:
        promoted, reason = _go_live(models, engine, request, given, base, candidate, gate, now)
    intent, loss = comparison.largest
    return AddIntentReport(
        version=candidate.name,
        previous=base.name,
        promoted=promoted,
        reason=reason,
        seconds=round(timer() - started, 3),
        accuracy_before=comparison.accuracy_before,
        accuracy_after=comparison.accuracy_after,
        largest_loss_intent=intent,
        largest_loss=loss,
    )


def distinct_examples(request: AddIntentRequest) -> list[Example]:
    """The request's examples, personal data masked, without repeats, in order."""
    masked = (mask_personal_data(text) for text in request.examples)
    distinct: dict[str, Example] = {}
    for text in masked:
        example = Example(text, request.name, details={"author": request.author})
        distinct.setdefault(example.key, example)
    return list(distinct.values())


def compare_versions(
    models: LearningModels,
    before: ModelVersion,
    after: ModelVersion,
    *,
    leaving_out: Sequence[Example] = (),
) -> tuple[Comparison, GateReport]:
    """Both versions on the held-out examples of the intents of ``before``, each read once.

    The comparison speaks of validation and gate examples, the gate's report of the latter alone.
    Texts in ``leaving_out`` are passed over: a person has just given them another label.
    """
    relabelled = {example.key for example in leaving_out}
    known = set(before.card["labels"])
    held_out = [
        (example, name)
        for name in ("validation", "gate")
        for example in models.held_out(before, name)
        if example.label in known and example.key not in relabelled
    ]
    truth = [example.label for example, _ in held_out]
    said_before, said_after = models.said([before, after], [one.text for one, _ in held_out])
    at_gate = [row for row, (_, name) in enumerate(held_out) if name == "gate"]
    gate = compare_on_gate(
        [said_after[row] == truth[row] for row in at_gate],
        [said_before[row] == truth[row] for row in at_gate],
        seed=GATE_SEED,
    )
    return compare_recall(truth, said_before, said_after), gate


def _go_live(
    models: LearningModels,
    engine: Engine,
    request: AddIntentRequest,
    examples: Sequence[Example],
    base: ModelVersion,
    candidate: ModelVersion,
    gate: GateReport,
    now: datetime,
) -> tuple[bool, str]:
    """Whether the candidate went live, and why or why not."""
    try:
        # One transaction: if the promotion is refused, nothing of the intent stays behind.
        with engine.begin() as connection:
            _store_intent(connection, request, examples, base.name, now)
            details = {
                "app": APP,
                "intent": request.name,
                "examples": len(examples),
                "version": candidate.name,
                "previous": base.name,
            }
            record(connection, actor=request.author, action="intent added", details=details, at=now)
            with recorded_within(connection):
                models.promote(
                    candidate, gate=gate, compared_with=base, author=request.author, now=now
                )
    except PromotionRefused as refusal:
        return False, refusal.message
    return True, f"no other intent lost more than {ALLOWED_LOSS:g} point; {gate.reason}"


def _store_intent(
    connection: Connection,
    request: AddIntentRequest,
    examples: Sequence[Example],
    version: str,
    now: datetime,
) -> None:
    stamp = {"author": request.author, "created_at": now}
    this = (intent_answers.c.app == APP) & (intent_answers.c.name == request.name)
    connection.execute(delete(intent_answers).where(this))
    connection.execute(
        insert(intent_answers).values(app=APP, name=request.name, answer=request.answer, **stamp)
    )
    connection.execute(
        insert(feedback),
        [
            {
                "app": APP,
                "text": example.text,
                "label": example.label,
                "version": version,
                "note": "example of a new intent",
                **stamp,
            }
            for example in examples
        ],
    )
    connection.execute(
        update(messages)
        .where(
            messages.c.review_state == "waiting",
            messages.c.text.in_([example.text for example in examples]),
        )
        .values(review_state="done")
    )


def retrain(
    models: LearningModels,
    original: Dataset,
    corrections: Dataset,
    *,
    source: DataSource,
    author: str,
    now: datetime,
    seed: int,
    report: ProgressReporter,
    method: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Train on the original data and all corrections, and put the result in use if it is no worse.

    ``source`` is where ``original`` was read from: the new version's card keeps it.
    The splits of the version in use hold: no text moves from test to training. Gives the
    training's summary with ``feedback`` (corrections, relabelled, added) and ``promotion``
    (promoted, previous, forced, reason). A refusal is an outcome, not an error.
    """
    base = models.in_use()
    corrected = with_corrections(original, corrections)
    known = {} if base is None else models.splits(base)
    trained = models.train(
        corrected.dataset,
        base=base,
        assigned={**corrected.splits, **known},
        source=source,
        method=method,
        now=now,
        seed=seed,
        report=report,
    )
    previous = None if base is None else base.name
    gate = None if base is None else models.gate(trained.version)
    try:
        promotion = models.promote(
            trained.version, gate=gate, compared_with=base, author=author, now=now, force=force
        )
        outcome = {"promoted": True, "forced": promotion.forced, "reason": promotion.reason}
    except PromotionRefused as refusal:
        outcome = {"promoted": False, "forced": False, "reason": refusal.message}
    return {
        **trained.summary,
        "feedback": {
            "corrections": len(corrections.examples),
            "relabelled": corrected.relabelled,
            "added": corrected.added,
        },
        "promotion": {"previous": previous, **outcome},
    }
