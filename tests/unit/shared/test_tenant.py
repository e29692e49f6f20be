from __future__ import annotations

import pytest

from shared.tenant import DEFAULT_TENANT, check_tenant


@pytest.mark.parametrize("name", [DEFAULT_TENANT, "a", "0", "agency-7", "a" * 32])
def test_a_name_is_a_word(name: str) -> None:
    assert check_tenant(name) == name


@pytest.mark.parametrize("name", ["", "-a", "A", "a" * 33, "a/b", "a:b", "..", "a\n", "\u00e4", "a b", "a_b"])
def test_what_could_lead_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="not a tenant name"):
        check_tenant(name)
