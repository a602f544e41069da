"""Progress bars, which appear where something takes longer than two seconds."""

import contextlib

DELAY = 2.0  # seconds


@contextlib.contextmanager
def bar(show, total=None):
    """Yields `advance(n)`.

    Args:
        show: False for no bar (tqdm is then not imported); True; or the text to show before it.
        total: how many images there are, where that is known.
    """
    if not show:
        yield lambda n: None
        return
    from tqdm import tqdm

    text = show if isinstance(show, str) else None
    with tqdm(total=total, unit="image", desc=text, delay=DELAY, leave=False) as shown:
        yield shown.update
