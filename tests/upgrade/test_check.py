"""A release reads what it writes and what the one before wrote, and nothing else."""

import pytest

from shared.kernel.versions import StoredVersionUnsupported, check_version


@pytest.mark.parametrize(("found", "current"), [(1, 1), (1, 2), (2, 2), (6, 7), (7, 7)])
def test_the_present_version_and_the_one_before_are_read(found: int, current: int):
    assert check_version("a row", found, current=current) == found


@pytest.mark.parametrize(
    ("found", "current", "reason"),
    [
        (3, 2, "a row has version 3, newer than the 2"),
        (1, 3, "a row has version 1, older than this release reads"),
        (0, 1, "a row has version 0, older"),
        (None, 1, "a row carries no version"),
        ("1", 1, "a row carries no version"),
        (True, 1, "a row carries no version"),
    ],
)
def test_anything_else_is_refused_by_name(found: object, current: int, reason: str):
    with pytest.raises(StoredVersionUnsupported, match=reason) as refused:
        check_version("a row", found, current=current)
    assert refused.value.target == "a row"
