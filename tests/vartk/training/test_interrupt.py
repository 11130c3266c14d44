import os
import signal

import pytest

from vartk.engine.distributed import World
from vartk.engine.training.interrupt import stop_requests


class Interrupted(World):
    """Processes that are told to stop while they ask each other, as they mostly are: there they wait."""

    def largest(self, *values):
        os.kill(os.getpid(), signal.SIGTERM)
        return values


def test_a_signal_during_the_exchange_counts_at_the_next_one():
    with stop_requests() as stop:
        stop.share(Interrupted())
        assert not stop  # the others have not heard of it
        stop.share(World())
        assert stop
        with pytest.raises(SystemExit) as ended:
            stop.obey()
    assert ended.value.code == 128 + signal.SIGTERM


def test_without_a_signal_nothing_stops():
    with stop_requests() as stop:
        stop.share(World())
        assert not stop
