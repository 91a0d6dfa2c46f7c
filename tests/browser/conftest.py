"""A headless Chromium for the pages that the project writes and serves.

Tests ask for ``page``. Where Playwright or a Chromium is missing they skip and say so (scripts/install_browser.sh
installs one on Debian).
"""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:")
ARGUMENTS = [
    "--no-sandbox",  # containers run as root and forbid the sandbox's name spaces
    "--disable-dev-shm-usage",  # /dev/shm of a container is small
    "--disable-gpu",  # drawing without one costs less than imitating it
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no name of the outside is found
]


@pytest.fixture(scope="module")
def browser():
    """One browser for the tests of a file: as long as it lives, its thread has a running event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser test: pip install playwright")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        pytest.skip(f"no browser test: none of {', '.join(NAMES)} is installed, and CHROMIUM names no other")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def problems():
    """What ``page`` met: errors in its console and requests to the outside. A test that provokes them clears it."""
    return []


@pytest.fixture
def page(browser, problems):
    """An empty page of 1280 x 800 pixels; at the end of the test there must be no `problems`."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(300_000)  # the machine may be busy; nothing waits that long when all is well
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(LOCAL) else problems.append(request.url))
    yield page
    context.close()
    assert not problems
