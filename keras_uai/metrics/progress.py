"""Progress bars, which appear where something takes longer than two seconds."""

import contextlib

DELAY = 2.0  # seconds


@contextlib.contextmanager
def bar(show, total=None):
    """Yields `advance(n)`.

    Args:
        show: False for no bar; True; or the text to show before it.
        total: number of images, where it is known.
    """
    from tqdm import tqdm

    text = show if isinstance(show, str) else None
    options = {"delay": DELAY, "leave": False, "disable": not show}
    with tqdm(total=total, unit="image", desc=text, **options) as shown:
        yield shown.update
