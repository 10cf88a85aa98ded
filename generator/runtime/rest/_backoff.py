"""The waits between attempts. Imported only by a call that fails."""

from __future__ import annotations

from httpx_retries import Retry


class Backoff(Retry):
    """The state of a call's retries.

    :ivar asked: seconds that the last response asked for. httpx-retries reads only whole ones, and dates by this
        machine's clock.
    """

    asked = 0.0

    def parse_retry_after(self, retry_after: str) -> float:
        return self.asked

    def increment(self) -> Backoff:
        following = super().increment()
        assert isinstance(following, Backoff)
        return following
