"""The page in a real browser. Chromium must be there (on Debian: apt-get install chromium)."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

if CHROMIUM is None:
    pytest.skip("there is no Chromium; install it, or set CHROMIUM to its path", allow_module_level=True)
pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")

from vartk.app import build_page, serve  # noqa: E402

PATIENCE = 120_000
"""Milliseconds that a slow machine may take."""


@contextmanager
def served(*models: Path) -> Iterator[str]:
    """Serve the page on model folders, and give its address."""
    page = build_page([str(model) for model in models], "cpu")
    _, address, _ = serve(page, port=None, share=False, block=False)
    try:
        yield address
    finally:
        page.close()
        del page
        gc.collect()  # sockets that gradio leaves open must not be found later, where a warning is an error


@contextmanager
def browsing() -> Iterator[Any]:
    """Start a browser."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
    gc.collect()


@contextmanager
def opened(browser: Any, address: str) -> Iterator[Any]:
    """Open the page in a browser that must reach no other server."""
    context = browser.new_context(viewport={"width": 1300, "height": 1100})
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_role("button", name="Sample", exact=True).wait_for()
    yield page
    context.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def shows(page: Any, name: str, text: str) -> None:
    """Wait until an element of the page has a text."""
    sync_api.expect(page.locator(f"#{name}")).to_contain_text(text, timeout=PATIENCE)


def images(page: Any, name: str, count: int) -> Any:
    """Wait for a number of pictures in a gallery."""
    found = page.locator(f"#{name} .thumbnail-item img, #{name} button img")
    sync_api.expect(found).to_have_count(count, timeout=PATIENCE)
    return found


def sample(page: Any, count: int = 4) -> None:
    """Sample, and wait for the images."""
    page.locator("#sample").click()
    shows(page, "status", f"{count} images")
    images(page, "samples", count)


def choose(page: Any, name: str, option: str) -> None:
    """Choose an option of a dropdown."""
    page.locator(f"#{name} input").click()
    page.get_by_role("option", name=option, exact=True).click()
