"""Signatures that users rely on change only on purpose; so does the typed face of the core."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from public_api import TARGET, public_api

import vicino

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))


def differences(stored: str, found: str) -> str:
    return "\n".join(difflib.unified_diff(stored.splitlines(), found.splitlines(), "stored", "now", lineterm="", n=1))


def test_public_signatures_are_the_stored_ones() -> None:
    changed = differences(TARGET.read_text(), public_api())
    assert not changed, f"public signatures changed; if meant, run tests/tree/public_api.py, and say so in changelog.d/\n{changed}"


def test_core_stub_is_what_the_core_is() -> None:
    from make_core_stub import TARGET as STUB
    from make_core_stub import stub

    changed = differences(STUB.read_text(), stub())
    assert not changed, f"the core's bindings changed; run scripts/make_core_stub.py\n{changed}"


def test_all_is_sorted_and_true() -> None:
    assert list(vicino.__all__) == sorted(vicino.__all__)
    for name in vicino.__all__:
        assert getattr(vicino, name) is not None
