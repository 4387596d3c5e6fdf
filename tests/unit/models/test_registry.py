"""The registry: whole versions, strict names, files that are checked, promotions that add up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from models.registry import ModelRegistry, ModelVersion
from shared.errors import ManifestMismatch, PromotionRefused, RegistryError, VersionNotFound
from shared.evaluation.gate import GateReport

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
BETTER = GateReport(True, "not worse", 100, 0.9, 0.8, 0.1, 0.05, 0.15)
WORSE = GateReport(False, "worse: 80 % against 90 %", 100, 0.8, 0.9, -0.1, -0.15, -0.05)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def writes(**files: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name, text in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def add(registry: ModelRegistry, number: int, app: str = "support") -> ModelVersion:
    return registry.add(
        app,
        card={"number": number},
        write=writes(weights=f"{number}", encoder__config="{}"),
        now=NOON + timedelta(hours=number),
    )


class TestAdd:
    def test_a_version_is_named_by_its_time_and_content(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        assert version.name.startswith("20260304T130000Z-")
        assert version.created_at == NOON + timedelta(hours=1)
        assert version.card["version"] == version.name
        assert version.card["number"] == 1
        assert (version.folder / "encoder" / "config").read_text() == "{}"
        assert json.loads((version.folder / "card.json").read_text()) == dict(version.card)

    def test_other_content_has_another_name(self, registry: ModelRegistry) -> None:
        names = {
            registry.add("support", card={}, write=writes(weights=text), now=NOON).name
            for text in ("a", "b")
        }
        by_card = registry.add("support", card={"x": 1}, write=writes(weights="a"), now=NOON)
        assert len(names | {by_card.name}) == 3

    def test_the_same_content_at_the_same_time_is_one_version(
        self, registry: ModelRegistry
    ) -> None:
        first = registry.add("support", card={}, write=writes(weights="a"), now=NOON)
        second = registry.add("support", card={}, write=writes(weights="a"), now=NOON)
        assert first == second
        assert len(registry.versions("support")) == 1

    def test_a_time_of_another_zone_becomes_utc(self, registry: ModelRegistry) -> None:
        east = datetime(2026, 3, 4, 12, 0, tzinfo=timezone(timedelta(hours=8)))
        version = registry.add("support", card={}, write=writes(a="a"), now=east)
        assert version.name.startswith("20260304T040000Z-")

    def test_a_naive_time_is_refused(self, registry: ModelRegistry) -> None:
        with pytest.raises(ValueError, match="time zone"):
            registry.add("support", card={}, write=writes(a="a"), now=datetime(2026, 3, 4))  # noqa: DTZ001

    def test_a_failed_write_leaves_nothing(self, registry: ModelRegistry) -> None:
        def write(folder: Path) -> None:
            (folder / "weights").write_text("half")
            raise OSError("the disk is full")

        with pytest.raises(OSError, match="full"):
            registry.add("support", card={}, write=write, now=NOON)
        assert registry.versions("support") == []
        assert [path.name for path in (registry.root / "support").iterdir()] == ["versions"]

    def test_a_card_that_does_not_fit_json_is_refused(self, registry: ModelRegistry) -> None:
        with pytest.raises(RegistryError, match="JSON"):
            registry.add("support", card={"x": float("nan")}, write=writes(a="a"), now=NOON)
        assert registry.versions("support") == []

    def test_describe_sees_the_name_and_its_files_are_in_the_manifest(
        self, registry: ModelRegistry
    ) -> None:
        version = registry.add(
            "support",
            card={},
            write=writes(weights="a"),
            now=NOON,
            describe=lambda folder, card: (
                (folder / "report.html").write_text(card["version"]) and None
            ),
        )
        assert (version.folder / "report.html").read_text() == version.name
        registry.verify(version)
        (version.folder / "report.html").write_text("other")
        with pytest.raises(ManifestMismatch, match=r"report\.html was changed"):
            registry.verify(version)

    def test_a_link_is_no_file_of_a_version(self, registry: ModelRegistry, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_text("x")
        with pytest.raises(RegistryError, match="symbolic link"):
            registry.add(
                "support",
                card={},
                write=lambda folder: (folder / "weights").symlink_to(tmp_path / "elsewhere"),
                now=NOON,
            )


class TestFind:
    def test_versions_come_newest_first(self, registry: ModelRegistry) -> None:
        made = [add(registry, number) for number in (2, 1, 3)]
        found = [version.name for version in registry.versions("support")]
        assert found == [made[2].name, made[0].name, made[1].name]
        assert registry.versions("finance") == []

    def test_the_beginning_of_a_name_is_enough_when_it_is_alone(
        self, registry: ModelRegistry
    ) -> None:
        first, second = add(registry, 1), add(registry, 2)
        assert registry.get("support", "20260304T13") == first
        assert registry.get("support", second.name) == second
        with pytest.raises(VersionNotFound, match="2 versions") as caught:
            registry.get("support", "2026")
        assert caught.value.details["matches"] == [first.name, second.name]

    def test_without_a_name_it_is_the_one_in_use(self, registry: ModelRegistry) -> None:
        with pytest.raises(VersionNotFound, match="in use yet"):
            registry.get("support")
        version = add(registry, 1)
        registry.promote("support", version, gate=None, author="ann", now=NOON)
        add(registry, 2)
        assert registry.get("support") == version

    @pytest.mark.parametrize(
        "name",
        ["", ".", "..", "../support", "/etc", "*", "2026/..", "20260304T\n", "x" * 300, "\0", "٣"],
    )
    def test_a_name_cannot_leave_the_folder(self, registry: ModelRegistry, name: str) -> None:
        add(registry, 1)
        with pytest.raises(VersionNotFound):
            registry.get("support", name)

    @pytest.mark.parametrize("app", ["", "..", "a/b", "Support", "a" * 33, "support\n"])
    def test_nor_can_the_name_of_an_app(self, registry: ModelRegistry, app: str) -> None:
        with pytest.raises(VersionNotFound):
            registry.versions(app)
        with pytest.raises(VersionNotFound):
            registry.add(app, card={}, write=writes(a="a"), now=NOON)

    def test_a_version_with_a_broken_card_is_left_out_of_the_list(
        self, registry: ModelRegistry
    ) -> None:
        good, broken = add(registry, 1), add(registry, 2)
        (broken.folder / "card.json").write_text("{")
        assert registry.versions("support") == [good]
        with pytest.raises(ManifestMismatch, match="cannot be read"):
            registry.get("support", broken.name)


class TestVerify:
    def test_an_untouched_version_passes(self, registry: ModelRegistry) -> None:
        registry.verify(add(registry, 1))

    def test_every_kind_of_change_is_named(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        (version.folder / "weights").write_text("x")
        (version.folder / "encoder" / "config").unlink()
        (version.folder / "stray").write_text("x")
        with pytest.raises(ManifestMismatch) as caught:
            registry.verify(version)
        assert set(caught.value.details["faults"]) == {
            "weights was changed",
            "encoder/config is missing",
            "stray was added",
        }

    def test_the_card_is_covered(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        card = {**version.card, "number": 99}
        (version.folder / "card.json").write_text(json.dumps(card))
        with pytest.raises(ManifestMismatch, match=r"card\.json was changed"):
            registry.verify(version)

    def test_a_folder_under_another_name_is_found_out(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        other = version.folder.with_name("20300101T000000Z-00000000")
        version.folder.rename(other)
        with pytest.raises(ManifestMismatch, match="is of version"):
            registry.verify(registry.get("support", "2030"))

    def test_a_missing_manifest_is_no_pass(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        (version.folder / "manifest.json").unlink()
        with pytest.raises(ManifestMismatch, match=r"manifest\.json cannot be read"):
            registry.verify(version)


class TestPromote:
    def test_the_first_needs_no_gate(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        assert registry.in_use("support") is None
        promotion = registry.promote("support", version.name, gate=None, author="ann", now=NOON)
        assert (promotion.previous, promotion.forced, promotion.kind) == (None, False, "promotion")
        assert registry.in_use("support") == version.name

    def test_a_better_one_takes_its_place(self, registry: ModelRegistry) -> None:
        first, second = add(registry, 1), add(registry, 2)
        registry.promote("support", first, gate=None, author="ann", now=NOON)
        promotion = registry.promote("support", second, gate=BETTER, author="bob", now=NOON)
        assert promotion.previous == first.name
        assert promotion.gate == BETTER
        assert registry.in_use("support") == second.name
        assert registry.history("support")[1] == promotion

    @pytest.mark.parametrize("gate", [WORSE, None])
    def test_a_worse_one_is_refused_and_nothing_changes(
        self, registry: ModelRegistry, gate: GateReport | None
    ) -> None:
        first, second = add(registry, 1), add(registry, 2)
        registry.promote("support", first, gate=None, author="ann", now=NOON)
        with pytest.raises(PromotionRefused) as caught:
            registry.promote("support", second, gate=gate, author="bob", now=NOON)
        if gate is not None:
            assert gate.reason in caught.value.message
            assert caught.value.details["gate"]["difference"] == gate.difference
        assert registry.in_use("support") == first.name
        assert len(registry.history("support")) == 1

    def test_force_goes_past_the_gate_and_is_recorded(self, registry: ModelRegistry) -> None:
        first, second = add(registry, 1), add(registry, 2)
        registry.promote("support", first, gate=None, author="ann", now=NOON)
        registry.promote("support", second, gate=WORSE, author="bob", now=NOON, force=True)
        record = ModelRegistry(registry.root).history("support")[-1]
        assert record.forced
        assert record.author == "bob"
        assert WORSE.reason in record.reason
        assert record.gate == WORSE

    def test_force_that_was_not_needed_is_not_called_so(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        promotion = registry.promote(
            "support", version, gate=None, author="ann", now=NOON, force=True
        )
        assert not promotion.forced

    def test_a_gate_that_compared_with_another_version_is_refused(
        self, registry: ModelRegistry
    ) -> None:
        first, second, third = (add(registry, number) for number in (1, 2, 3))
        registry.promote("support", first, gate=None, author="ann", now=NOON)
        registry.promote(
            "support", second, gate=BETTER, author="a", now=NOON, compared_with=first.name
        )
        with pytest.raises(PromotionRefused, match="gate it again"):
            registry.promote(
                "support", third, gate=BETTER, author="b", now=NOON, compared_with=first.name
            )
        assert registry.in_use("support") == second.name

    def test_what_is_in_use_already_stays_so(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        first = registry.promote("support", version, gate=None, author="ann", now=NOON)
        again = registry.promote("support", version, gate=WORSE, author="bob", now=NOON)
        assert again == first
        assert registry.history("support") == [first]

    def test_a_changed_version_is_never_put_in_use(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        (version.folder / "weights").write_text("x")
        with pytest.raises(ManifestMismatch):
            registry.promote("support", version, gate=None, author="a", now=NOON, force=True)
        assert registry.in_use("support") is None

    def test_an_unknown_version_is_refused(self, registry: ModelRegistry) -> None:
        with pytest.raises(VersionNotFound):
            registry.promote("support", "20990101", gate=None, author="ann", now=NOON)

    def test_apps_do_not_touch_each_other(self, registry: ModelRegistry) -> None:
        ours, theirs = add(registry, 1), add(registry, 1, app="finance")
        registry.promote("support", ours, gate=None, author="ann", now=NOON)
        assert registry.in_use("finance") is None
        registry.promote("finance", theirs, gate=None, author="ann", now=NOON)
        assert registry.history("support")[0].app == "support"

    def test_an_author_with_a_line_break_stays_one_line(self, registry: ModelRegistry) -> None:
        version = add(registry, 1)
        author = "ann\nbob\u2028\x85"
        registry.promote("support", version, gate=None, author=author, now=NOON)
        assert [line.author for line in registry.history("support")] == [author]


class TestRollBack:
    def promoted(self, registry: ModelRegistry, *numbers: int) -> list[ModelVersion]:
        made = [add(registry, number) for number in numbers]
        for version in made:
            registry.promote("support", version, gate=BETTER, author="ann", now=NOON)
        return made

    def test_it_goes_back_by_one_each_time(self, registry: ModelRegistry) -> None:
        first, second, third = self.promoted(registry, 1, 2, 3)
        back = registry.rollback("support", author="bob", now=NOON)
        assert (back.version, back.previous, back.kind) == (second.name, third.name, "rollback")
        assert registry.rollback("support", author="bob", now=NOON).version == first.name
        with pytest.raises(VersionNotFound, match="no earlier version"):
            registry.rollback("support", author="bob", now=NOON)
        assert registry.in_use("support") == first.name
        assert len(registry.history("support")) == 5

    def test_after_a_roll_back_a_promotion_goes_on_from_there(
        self, registry: ModelRegistry
    ) -> None:
        first, _ = self.promoted(registry, 1, 2)
        registry.rollback("support", author="bob", now=NOON)
        third = add(registry, 3)
        registry.promote("support", third, gate=BETTER, author="ann", now=NOON)
        assert registry.rollback("support", author="bob", now=NOON).version == first.name

    def test_with_one_promotion_or_none_there_is_no_way_back(self, registry: ModelRegistry) -> None:
        with pytest.raises(VersionNotFound):
            registry.rollback("support", author="bob", now=NOON)
        self.promoted(registry, 1)
        with pytest.raises(VersionNotFound):
            registry.rollback("support", author="bob", now=NOON)

    def test_a_version_that_was_deleted_is_passed_over(self, registry: ModelRegistry) -> None:
        first, second, _ = self.promoted(registry, 1, 2, 3)
        second.folder.rename(registry.root / "gone")
        assert registry.rollback("support", author="bob", now=NOON).version == first.name

    def test_a_version_that_was_changed_is_not_gone_back_to(self, registry: ModelRegistry) -> None:
        first, second = self.promoted(registry, 1, 2)
        (first.folder / "weights").write_text("x")
        with pytest.raises(ManifestMismatch):
            registry.rollback("support", author="bob", now=NOON)
        assert registry.in_use("support") == second.name
