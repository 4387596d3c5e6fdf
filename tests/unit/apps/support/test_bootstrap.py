"""The desk's settings, and what importing its wiring costs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from apps.support.bootstrap import SupportSettings

pytestmark = pytest.mark.unit


def test_settings_make_the_policy_of_a_version() -> None:
    settings = SupportSettings(
        clarify_floor=0.65, clarify_margin=0.2, faq_similarity=0.9, person_intent="agent"
    )
    policy = settings.policy(0.95)
    assert (policy.answer_threshold, policy.clarify_floor, policy.clarify_margin) == (
        0.95,
        0.65,
        0.2,
    )
    assert (policy.faq_similarity, policy.person_intent) == (0.9, "agent")
    assert policy.in_scope_floor is None


@pytest.mark.parametrize(("share", "floor"), [(1.0, 0.0), (0.95, 5.0), (0.5, 50.0), (0.0, 100.0)])
def test_the_scope_ends_where_the_share_of_validation_messages_does(
    share: float, floor: float
) -> None:
    quantiles = [float(number) for number in range(101)]
    assert SupportSettings(in_scope_share=share).policy(0.9, quantiles).in_scope_floor == floor


def test_an_impossible_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="clarify_floor"):
        SupportSettings(clarify_floor=1.5)


def test_wiring_imports_nothing_heavy() -> None:
    code = (
        "import sys, apps.support.bootstrap;"
        "print([name for name in ('torch', 'faiss', 'sklearn', 'transformers', 'captum')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
