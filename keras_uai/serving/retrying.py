"""Another attempt after what may pass: exponential back-off with jitter."""

import dataclasses
import random
import time

from keras_uai.serving.errors import TransientError, UnavailableError

MAX_WAIT = 60.0  # seconds, also where a server asks for more


@dataclasses.dataclass(frozen=True)
class Retries:
    """How often and when to try again.

    Args:
        count: further attempts after the first.
        first_wait: seconds before the second attempt; each further wait is twice as long. Half of each wait is
            random, so that many clients do not come back at once.
        longest_wait: seconds.
    """

    count: int = 4
    first_wait: float = 0.25
    longest_wait: float = 8.0

    def __post_init__(self):
        if self.count < 0 or self.first_wait < 0 or self.longest_wait < 0:
            raise ValueError(f"Retries: nothing may be below 0. Received: {self}")

    def waits(self, generator):
        """Seconds before each further attempt."""
        for i in range(self.count):
            longest = min(self.longest_wait, self.first_wait * 2.0**i)
            yield longest * generator.uniform(0.5, 1.0)


def call(function, retries, where, sleep=time.sleep):
    """`function()`, called again after each `TransientError`.

    Args:
        function: without arguments.
        retries: a `Retries`.
        where: the target, for messages.

    Raises:
        UnavailableError: the last attempt failed, too.
    """
    waits = retries.waits(random.Random())  # not seeded: clients are to differ
    while True:
        try:
            return function()
        except TransientError as error:
            wait = next(waits, None)
            if wait is None:
                raise UnavailableError(
                    f"{where} cannot be reached, in {retries.count + 1} attempts. Received: {error}"
                ) from error
            sleep(min(MAX_WAIT, max(wait, error.wait or 0.0)))
