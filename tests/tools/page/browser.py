"""Headless Chromium without a connection to other machines."""

import contextlib
import json
import os
import shutil
import time

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",  # the editor draws with WebGL
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--window-size=1300,1000",
)


@contextlib.contextmanager
def start(folder):
    """Yields a browser with its files and downloads in `folder`; skips the test without one."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: pip install .[test]"
    )
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        missing = "Chromium" if browser is None else "chromedriver"
        pytest.skip(f"no {missing} on this machine (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    downloads = {"default_directory": str(folder / "downloads"), "prompt_for_download": False}
    options.add_experimental_option("prefs", {"download": downloads})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    service = webdriver.ChromeService(driver, env={**os.environ, "HOME": str(folder)})
    opened = webdriver.Chrome(options=options, service=service)
    try:
        yield opened
    finally:
        opened.quit()


def find(opened, selector, seconds=60):
    """Returns the elements of a CSS selector, as soon as there are any."""
    return until(lambda: opened.find_elements("css selector", selector), selector, seconds)


def until(condition, what, seconds=60):
    """Returns the value of `condition`, as soon as it is true."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not seen within {seconds} s: {what}")


def steady(condition, what, seconds=60):
    """Returns the value of `condition`, once it is true and has stopped changing."""

    def unchanged():
        seen = []
        for _ in range(4):
            seen.append(condition())
            time.sleep(0.25)
        return seen[-1] if len(set(seen)) == 1 else None

    return until(unchanged, what, seconds)


def stroke(opened, element, points):
    """Presses the mouse button at the first point, drags it over the others, and releases it.

    Points are in screen pixels from the element's centre.
    """
    from selenium.webdriver import ActionChains

    drag = ActionChains(opened, duration=20)
    for i, (x, y) in enumerate(points):
        drag.move_to_element_with_offset(element, x, y)
        if not i:
            drag.click_and_hold()
    drag.release().perform()


def addresses(opened):
    """Returns the addresses that the page has requested so far."""
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if not url.startswith(("data:", "blob:", "chrome:"))]
