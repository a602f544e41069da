"""Progress bars that go on while a single item, or the whole work, takes long."""

import contextlib
import sys
import threading

DELAY = 2.0  # seconds before a bar appears
TICK = 2.0  # seconds on a terminal; half as many more in files, which are not to grow
_bars = {}  # those within others last; the innermost one that has appeared is seen


@contextlib.contextmanager
def bar(show, total=None, unit="image", delay=DELAY, file=None, **options):
    """Yields a `tqdm` bar, which is drawn anew every few seconds: its clock goes on.

    Args:
        show: False for no bar; True; or the text to show before it.
        total: number of items, where it is known.
        unit: name of an item.
        delay: seconds before the bar appears. Default: 2.
        file: text stream. Default: `sys.stderr`.
        **options: further arguments of `tqdm`.
    """
    from tqdm import tqdm

    file = file or sys.stderr
    every = TICK if file.isatty() else 1.5 * TICK
    options |= {"delay": delay, "leave": False, "disable": not show, "position": 0, "file": file}
    options |= {"total": total, "unit": unit, "desc": show if isinstance(show, str) else None}
    ended = threading.Event()
    with tqdm(mininterval=0.1 if file.isatty() else every, **options) as shown:

        def tick():
            while not ended.wait(every):
                within = list(_bars.values())[list(_bars).index(ended) + 1 :]
                if all(other.delay for other in within):  # none of them has appeared
                    shown.delay = 0.0  # it has: its end takes it away
                    shown.refresh()

        thread = threading.Thread(target=tick, daemon=True)
        if show:
            _bars[ended] = shown
            thread.start()
        try:
            yield shown
        finally:
            if show:
                ended.set()
                thread.join()
                del _bars[ended]


def stage(text, **options):
    """Shows a text and the seconds since, where nothing can be counted; `delay` as in `bar`."""
    return bar(text, bar_format="{desc} ... {elapsed}", **options)
