"""Examples that hypothesis thinks of are not timed: how long one takes says what else the machine does."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
