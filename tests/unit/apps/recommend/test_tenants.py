from __future__ import annotations

import pytest

from apps.recommend.tenants import check_tenant, registry_app
from shared.errors import SettingsError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", ["default", "a", "shop-b", "x" * 20, "team-7-"])
def test_a_name_comes_back(name: str) -> None:
    assert check_tenant(name) == name


@pytest.mark.parametrize(
    "name", ["", "A", "shop_b", "x" * 21, "7up", "-a", "a b", "a\n", "../etc", "é"]
)
def test_another_name_is_refused_wherever_it_comes_in(name: str) -> None:
    with pytest.raises(SettingsError, match="lower-case letter"):
        check_tenant(name)
    with pytest.raises(SettingsError):
        registry_app(name)


def test_every_tenant_has_an_app_of_its_own_in_the_registry() -> None:
    assert registry_app("default") == "recommend"
    assert registry_app("shop-b") == "recommend_shop_b"
    names = ["default", "a", "a-", "a--", "ab", "a-b"]
    assert len({registry_app(name) for name in names}) == len(names)
