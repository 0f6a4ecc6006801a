"""The portal's third-party modules are the ones that the lock names, and every asset's imports lead to assets."""

import json
import re

import pytest

from scripts.vendor import LOCK, stale
from shared.http.assets import Asset, Assets
from tests.suite import ROOT

ASSETS = Assets(ROOT / "portal" / "assets")
MODULES = sorted(
    str(path.relative_to(ASSETS.folder)) for path in ASSETS.folder.rglob("*.js") if "vendor" not in path.parts
)


def test_vendored_files_are_what_the_lock_vouches_for() -> None:
    assert stale() == []


def test_every_vendored_package_has_a_licence_that_the_text_holds() -> None:
    licences = (ASSETS.folder / "vendor" / "LICENSES.txt").read_text()
    for package in json.loads(LOCK.read_text())["packages"]:
        assert f"{package['name']} {package['version']} ({package['licence']})" in licences


@pytest.mark.parametrize("name", MODULES)
def test_the_imports_of_a_module_lead_to_assets_of_its_own_release(name: str) -> None:
    text = ASSETS.load(name).data.decode()
    imported = re.findall(r'(?:from|import)\s*"([^"]+)"', text)
    for each in imported:
        head, _, target = each.removeprefix("/assets/").partition("/")
        assert (each.startswith("/assets/"), head) == (True, ASSETS.release)
        assert isinstance(ASSETS.load(target), Asset)
