"""A candidate against the version in use, on examples that neither was trained or tuned on.

What reads a version is imported when a version is read, and torch with it.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from models.registry import ModelRegistry, ModelVersion, Promotion
from shared.errors import RegistryError
from shared.evaluation.gate import GateReport, compare_on_gate
from shared.records import Example

GATE_SEED = 0


def gate(registry: ModelRegistry, app: str, candidate: ModelVersion) -> GateReport:
    """Both versions on the candidate's gate split, by a paired bootstrap.

    Examples of classes that the version in use does not know are left out: they would favour
    the candidate. The first version of an app is compared with itself, and passes. Bundles of
    the recommender have a gate of their own.
    """
    if candidate.card.get("kind") == "recommender":
        from models.recommendation.gate import compare

        return compare(registry, app, candidate)
    from models.version_content import read_examples

    current_name = registry.in_use(app)
    current = candidate if current_name is None else registry.get(app, current_name)
    examples = [e for e in read_examples(candidate.folder / "gate.jsonl") if e.in_scope]
    known = set(current.card["labels"])
    shared_examples = [example for example in examples if example.label in known]
    candidate_correct = _correct(registry, candidate, shared_examples)
    current_correct = (
        candidate_correct
        if current.name == candidate.name
        else _correct(registry, current, shared_examples)
    )
    return compare_on_gate(candidate_correct, current_correct, seed=GATE_SEED)


def gate_and_promote(
    registry: ModelRegistry,
    app: str,
    candidate: ModelVersion,
    *,
    author: str,
    now: datetime,
    force: bool = False,
) -> Promotion:
    """Put the candidate in use if the gate allows it, else PromotionRefused with the reason.

    ``force`` goes past the gate and is recorded with its report; a version in use that cannot
    be read (a file was changed or deleted) then stands in nobody's way.
    """
    compared_with = registry.in_use(app)
    report = None
    if compared_with is not None:
        try:
            report = gate(registry, app, candidate)
        except RegistryError:
            if not force:
                raise
    if report is None or report.allowed or force:
        from models.runtime.building import prepare_version

        prepare_version(registry, candidate)
    return registry.promote(
        app,
        candidate,
        gate=report,
        author=author,
        now=now,
        force=force,
        compared_with=compared_with,
    )


def _correct(
    registry: ModelRegistry, version: ModelVersion, examples: list[Example]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if not examples:
        return np.zeros(0, dtype=bool)
    from models.text_classifier import TextPredictor

    registry.verify(version)
    predictions = TextPredictor.load(version).predict([example.text for example in examples])
    return np.array(
        [p.label == e.label for p, e in zip(predictions, examples, strict=True)], dtype=bool
    )
