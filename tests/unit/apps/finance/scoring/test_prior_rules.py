"""Rule files: what is read, what is refused, and that the shipped rules never fire backwards."""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

import pytest

from apps.finance.scoring.prior_rules import DEFAULT_RULES, MAXIMUM_BYTES, PriorRules, load_rules
from shared.errors import SettingsError, UnreadableFile

pytestmark = pytest.mark.unit

EVEN = {"negative": 0.3, "neutral": 0.4, "positive": 0.3}


@pytest.fixture(scope="module")
def shipped() -> PriorRules:
    return load_rules()


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_with_every_key(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
unless: ['\\?$']
rules:
  - name: moon
    pattern: ['to the moon', 'rocket']
    label: positive
    effect: raise
    factor: 8
    ignore_case: false
    whole_words: false
    unless: ['crash']
    unless_before: ['not']
  - name: rug
    pattern: 'rug pull'
    label: negative
    probability: 0.9
""",
    )
    rules = load_rules(path)
    assert rules.apply("skyrocketing", EVEN)[1] is not None
    for silent in ("Rocket", "rocket crash", "not a rocket", "rocket?"):
        assert rules.apply(silent, EVEN) == (EVEN, None)
    result, reason = rules.apply("a Rug Pull", EVEN)
    assert result["negative"] == pytest.approx(0.9)
    assert reason is not None
    assert reason["rule"] == "rug"


RULE = "rules:\n  - name: one\n    pattern: 'x'\n    label: negative\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RULE + "    colour: red\n", ["rule 'one'", "key 'colour'", "unless_before"]),
        (RULE + "colour: red\n", ["key 'colour'", "rules"]),
        (RULE.replace("negative", "bad"), ["rule 'one'", "label", "'negative'", "'bad'"]),
        (RULE.replace("'x'", "'('"), ["rule 'one'", "no regular expression", "backslash"]),
        (RULE.replace("'x'", "'(a+)+'"), ["rule 'one'", "small bound"]),
        (RULE.replace("'x'", "[]"), ["rule 'one'", "no pattern is given"]),
        (RULE + "    unless: ['[']\n", ["rule 'one'", "no regular expression"]),
        (RULE + "    unless: [no]\n", ["rule 'one'", "'unless'", "quotes"]),
        (RULE + "    factor: 2\n", ["rule 'one'", "'factor'", "pin"]),
        (RULE + "    effect: raise\n    probability: 0.9\n", ["'probability'", "raise"]),
        (RULE + "    probability: 1\n", ["rule 'one'", "'probability'", "less than 1"]),
        (RULE.replace("    label: negative\n", ""), ["rule 'one'", "key 'label' is missing"]),
        ("rules:\n  - pattern: x\n    label: neutral\n", ["rule number 1", "'name' is missing"]),
        (RULE + RULE.removeprefix("rules:\n"), ["rule 'one'", "used twice"]),
        ("- one\n", ["mapping", "rules:"]),
        ("", ["mapping", "rules:"]),
        ("rules: 3\n", ["'rules'", "list"]),
    ],
)
def test_what_is_wrong_is_named_with_file_and_rule(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_rules(written(tmp_path, text))
    for word in ["mine.yaml", *words]:
        assert word in caught.value.message, caught.value.message


@pytest.mark.parametrize(
    "content",
    [b"rules: [", b"\xff\xfe", b"rules: !!python/object:os.system x", b"a" * (MAXIMUM_BYTES + 1)],
)
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"mine\.yaml"):
        load_rules(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="none"):
        load_rules(tmp_path / "none.yaml")


FIRES = {
    "files-for-bankruptcy": "Hertz Inc. files for Chapter 11 in Delaware",
    "declared-insolvent": "Steel maker declared bankrupt by Taranto court",
    "enters-administration": "Furniture chain collapses into administration",
    "debt-default": "Developer defaults on its offshore bonds",
    "covenant-breach": "Landlord breaches loan covenants",
    "delisted": "Solar firm to be told it is delisted from Nasdaq",
    "going-concern-doubt": "Auditor raises substantial doubt about going concern at cinema group",
    "fraud-charges": "Founder indicted on three counts of securities fraud",
    "accounting-restatement": "Retailer overstated profits by $50m",
    "regulator-fine": "Lender is fined £38m over laundering checks",
    "trading-halted-by-regulator": "Shares suspended as auditors find gap",
    "rating-cut-to-junk": "S&P cuts Tessaly Chemicals to junk",
    "credit-rating-downgrade": "Moody's downgrades chemicals group",
    "credit-rating-upgrade": "Fitch upgrades Banco Alcorta to A-",
    "profit-warning": "Carmaker issues second profit warning",
    "guidance-cut": "Chip maker slashes full-year outlook",
    "guidance-raised": "Novo raises full-year guidance",
    "record-profit": "Bank posts record quarterly profit",
    "swings-to-loss": "Airline swings to a loss",
    "swings-to-profit": "Windhaven swings to profit",
    "loss-narrows": "Halden's loss narrows to EUR 1.1 mn",
    "loss-widens": "Quarterly loss widens at Ostara",
    "beats-estimates": "Fairlea beats analysts' estimates",
    "misses-estimates": "Luxwave misses revenue estimates",
    "dividend-cut": "Oil major scraps dividend",
    "dividend-raised": "Kirisawa raises its interim dividend",
    "share-buyback": "Quenby announces £500m share buyback",
    "product-recall": "Toyota recalls 1.2 million cars",
    "trial-failed": "Alzheimer's drug no better than placebo",
    "drug-approved": "Asterion wins FDA approval for spray",
    "job-cuts": "Bank to cut 3,400 jobs",
}


def test_at_least_25_rules_are_shipped_and_each_is_tested(shipped: PriorRules) -> None:
    names = [rule.name for rule in shipped.rules]
    assert len(names) >= 25
    assert set(FIRES) == set(names)


@pytest.mark.parametrize(("name", "text"), FIRES.items(), ids=FIRES.keys())
def test_each_shipped_rule_fires(shipped: PriorRules, name: str, text: str) -> None:
    assert name in [match.rule.name for match in shipped.matches(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Hertz emerges from Chapter 11",
        "Cable firm exits bankruptcy with half its debt",
        "Rescuer buys retailer that files for insolvency",
        "Airline avoids filing for bankruptcy protection",
        "Airline denies it is filing for bankruptcy",
        "Will the airline be declared bankrupt?",
        "Explainer: what happens when a company files for Chapter 11",
        "Solar firm no longer faces delisting",
        "Solar firm regains compliance after delisting notice",
        "Court drops case: founder charged with fraud is acquitted",
        "Founder cleared of fraud charges",
        "Court annuls decision that bank be fined €30m",
        "Court overturns ruling under which bank was fined €30m",
        "Ford escapes cut to junk: S&P did not downgrade it to junk",
        "Moody's raises growth forecasts, downgrades inflation",
        "Group lifts guidance it had lowered",
        "Maker won't cut its guidance",
        "Maker does not raise its guidance",
        "Group fails to raise its outlook",
        "UPS outlook in focus",
        "IMF cuts growth outlook",
        "Profit falls from record profit a year ago",
        "Airline avoids swinging to a loss",
        "Airline narrowly did not swing to a loss",
        "Firm never swings to profit, analysts say",
        "Firm hopes it returns to profit",
        "Loss narrows less than hoped",
        "Rupee trims early losses",
        "Dividend tax cut",
        "Board rules out that it cuts its dividend",
        "Lift maker recalls furloughed workers",
        "FDA lifts clinical hold",
        "Drug did not fail: trial met its goal",
        "Regulator could grant, but has not yet granted FDA approval",
        "Maker to create 3,400 jobs",
        "Employees protest outside head office",
        "Bank will not cut 3,400 jobs",
        "Lender repays bond on which it defaulted on interest",
        "Covenants breached in spring were waived: breach of covenants forgiven",
        "Shares suspended pending takeover",
        "Rating stays investment grade",
        "Default settings of the phone are changed",
        "Audit Chapter 11 of the manual",
        "Board and auditors agree agenda",
        "Museum recalls the great crash of 1929",
    ],
)
def test_no_shipped_rule_fires_on_the_opposite(shipped: PriorRules, text: str) -> None:
    assert [match.rule.name for match in shipped.matches(text)] == []


def test_shipped_rules_agree_with_the_sample_headlines(shipped: PriorRules) -> None:
    path = resources.files("apps.finance.samples") / "headlines.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["entity"]]
    fired = [
        (match.rule.label, row["label"]) for row in rows for match in shipped.matches(row["text"])
    ]
    agreeing = sum(ours == theirs for ours, theirs in fired)
    assert len(fired) >= 60
    assert agreeing / len(fired) >= 0.97


def test_the_shipped_file_is_the_default() -> None:
    assert load_rules() == load_rules(DEFAULT_RULES)
