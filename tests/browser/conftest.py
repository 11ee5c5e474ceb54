"""A browser for all tests of pages, and tabs in it; `pages` of each file says which pages there are by name."""

import pytest
from chromium import DESK, Chromium


@pytest.fixture(scope="session")
def browser():
    with Chromium() as chromium:
        yield chromium


@pytest.fixture
def tab(browser, pages):
    """Open pages by name in tabs that are closed again; `milliseconds` is what it took to draw one."""
    opened = []

    def open_page(name, size=DESK, dark=False):
        page = browser.page(*size, dark)
        opened.append(page)
        page.milliseconds = page.open(pages[name])
        page.settle()
        return page

    yield open_page
    for page in opened:
        page.close()
