"""Prior knowledge out of a YAML file: named patterns that pin a label or raise its probability.

``samples/rules.yaml`` is the file that is shipped; it shows every key. What is wrong in a file is
refused with the file, the rule and what to do, before any text is scored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from apps.finance.scoring.guarded_patterns import GuardedPattern, UnsuitablePattern
from apps.finance.scoring.rule_decisions import Effect, PriorRules, Rule
from shared.errors import SettingsError, UnreadableFile

__all__ = ["DEFAULT_RULES", "PriorRules", "load_rules"]

DEFAULT_RULES = Path(__file__).parent.parent / "samples" / "rules.yaml"

MAXIMUM_BYTES = 2**20
MAXIMUM_RULES = 1_000

_Patterns = Annotated[list[str], Field(max_length=50)]


class RuleEntry(BaseModel):
    """One rule as the file writes it; no other keys are allowed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """Shown as the reason of a score; no two rules share one."""
    pattern: str | _Patterns
    """A regular expression, or several of which one must match."""
    label: Literal["negative", "neutral", "positive"]
    effect: Effect = "pin"
    """``pin`` decides the label; ``raise`` makes it likelier and leaves the last word to others."""
    probability: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.97
    """Of the label after a pin, unless the model was surer still."""
    factor: Annotated[float, Field(gt=1.0, le=100.0)] = 3.0
    """What a raise multiplies the label's odds by."""
    ignore_case: bool = True
    whole_words: bool = True
    """Letters or digits may not stand directly before or after the match."""
    unless: _Patterns = []
    """Silence the rule when found in the sentence of the match; added to the file's own list."""
    unless_before: _Patterns = []
    """Silence the rule when found in the five words before the match; added to the file's."""

    @model_validator(mode="after")
    def _keys_fit_the_effect(self) -> RuleEntry:
        unfit = "factor" if self.effect == "pin" else "probability"
        if unfit in self.model_fields_set:
            raise ValueError(f"key {unfit!r} means nothing with effect: {self.effect}. Remove it")
        if not self.pattern:
            raise ValueError("no pattern is given. Write at least one")
        return self


class RuleFile(BaseModel):
    """The whole file; ``unless`` and ``unless_before`` hold for every rule."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    rules: Annotated[list[RuleEntry], Field(max_length=MAXIMUM_RULES)]
    unless: _Patterns = []
    unless_before: _Patterns = []


def load_rules(path: Path | None = None) -> PriorRules:
    """The rules of a file; those that are shipped for None.

    UnreadableFile for what is no YAML file of at most 1 MiB; SettingsError, naming file and rule,
    for an unknown key, a wrong label, a pattern that is wrong or could run for ever.
    """
    path = DEFAULT_RULES if path is None else path
    stored = _read_yaml(path)
    if not isinstance(stored, dict):
        raise SettingsError(
            f"{path}: the file must hold a mapping with the key rules. Begin it with 'rules:'",
            path=str(path),
        )
    try:
        file = RuleFile.model_validate(stored)
    except ValidationError as error:
        raise _refusal(path, stored, error) from error
    names = [entry.name for entry in file.rules]
    for name in names:
        if names.count(name) > 1:
            message = f"{path}, rule {name!r}: the name is used twice. Give each rule its own"
            raise SettingsError(message, path=str(path), rule=name)
    return PriorRules(tuple(_rule(path, entry, file) for entry in file.rules))


def _read_yaml(path: Path) -> Any:
    import yaml

    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise UnreadableFile(
                f"{path} has {size} bytes, {MAXIMUM_BYTES} are allowed. Split the rules",
                path=str(path),
            )
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise UnreadableFile(
            f"{path} cannot be read as YAML: {error}. Patterns with a colon, a # or a backslash "
            "belong in single quotes",
            path=str(path),
        ) from error


def _rule(path: Path, entry: RuleEntry, file: RuleFile) -> Rule:
    def compiled(sources: list[str], **how: bool) -> tuple[GuardedPattern, ...]:
        try:
            return tuple(GuardedPattern(source, **how) for source in sources)
        except UnsuitablePattern as error:
            raise SettingsError(
                f"{path}, rule {entry.name!r}: {error}", path=str(path), rule=entry.name
            ) from error

    patterns = [entry.pattern] if isinstance(entry.pattern, str) else entry.pattern
    return Rule(
        name=entry.name,
        patterns=compiled(patterns, ignore_case=entry.ignore_case, whole_words=entry.whole_words),
        label=entry.label,
        effect=entry.effect,
        probability=entry.probability,
        factor=entry.factor,
        unless=compiled([*file.unless, *entry.unless]),
        unless_before=compiled([*file.unless_before, *entry.unless_before]),
    )


def _refusal(path: Path, stored: dict[Any, Any], error: ValidationError) -> SettingsError:
    """The first thing that is wrong, in words."""
    first = error.errors()[0]
    where = list(first["loc"])
    place, keys = str(path), list(RuleFile.model_fields)
    name: str | None = None
    if where[:1] == ["rules"] and len(where) > 1:
        name = _name_of(stored["rules"], where[1])
        place, keys = f"{path}, rule {name}", list(RuleEntry.model_fields)
        where = where[2:]
    key = str(where[0]) if where else "rules"
    if first["type"] == "extra_forbidden":
        what = f"key {key!r} is not known. The keys are {', '.join(keys)}"
    elif first["type"] == "missing":
        what = f"key {key!r} is missing. Add it"
    elif first["type"] == "value_error":
        what = str(first["ctx"]["error"])
    else:
        what = f"key {key!r}: {first['msg']}, not {first['input']!r}. Correct it"
        if isinstance(first["input"], bool):
            what += "; YAML reads a bare yes or no as true or false, so put it in quotes"
    return SettingsError(f"{place}: {what}", path=str(path), rule=name)


def _name_of(rules: Any, position: Any) -> str:
    entry = rules[position] if isinstance(rules, list) and isinstance(position, int) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    return repr(name) if name else f"number {int(position) + 1}"
