"""The page, in a real browser. Chromium must be there (on Debian: apt-get install chromium)."""

import os
import shutil

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

if CHROMIUM is None:
    pytest.skip("there is no Chromium; install it, or set CHROMIUM to its path", allow_module_level=True)
pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")

from vartk.app import build_page, serve  # noqa: E402

# of gradio and its web server
pytestmark = pytest.mark.filterwarnings("ignore")

PATIENCE = 120_000
"""Milliseconds that a slow machine may take."""


@pytest.fixture(scope="module")
def address(model_folder):
    page = build_page([str(model_folder)], "cpu")
    _, address, _ = serve(page, port=None, share=False, block=False)
    yield address
    page.close()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """The page in a browser that reaches no other server."""
    context = browser.new_context(viewport={"width": 1300, "height": 1100})
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_role("button", name="Sample", exact=True).wait_for()
    yield page
    context.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def images(page, name, count):
    """Wait for a number of pictures in a gallery."""
    found = page.locator(f"#{name} .thumbnail-item img, #{name} button img")
    sync_api.expect(found).to_have_count(count, timeout=PATIENCE)
    return found


def sample(page, count=4):
    page.locator("#sample").click()
    sync_api.expect(page.locator("#status")).to_contain_text(f"{count} images of", timeout=PATIENCE)
    images(page, "samples", count)


def test_it_samples_scale_by_scale(page):
    seen = []
    page.expose_function("seen", lambda text: seen.append(text))
    page.evaluate(
        """() => new MutationObserver(() => seen(document.querySelector('#status').innerText))
        .observe(document.querySelector('#status'), {subtree: true, childList: true, characterData: true})"""
    )
    sample(page)
    assert any("scale 2/3" in text for text in seen)
    images(page, "history", 4)
    page.get_by_text("The same on the command line").click()
    command = page.locator("#command")
    sync_api.expect(command).to_contain_text("vartk sample")
    sync_api.expect(command).to_contain_text("--class dark --count 4 --seed 0")


def test_settings_come_from_the_registry(page):
    page.get_by_text("Sampling settings").click()
    page.get_by_label("cache", exact=True).click()
    page.get_by_role("option", name="window", exact=True).click()
    page.get_by_text("keeps the condensed scales").or_(page.get_by_text("scales")).first.wait_for()
    page.get_by_label("last", exact=True).first.wait_for()  # a parameter of the strategy
    sample(page)
    page.get_by_text("The same on the command line").click()
    sync_api.expect(page.locator("#command")).to_contain_text("cache=window")


def test_a_painted_mask_is_drawn_anew(page):
    sample(page)
    page.get_by_role("tab", name="In-paint").click()
    page.locator("#inpaint").click()
    page.get_by_text("there is no picture").wait_for()
    page.locator("#take").click()
    canvas = page.locator("#editor canvas").first
    canvas.wait_for()
    page.wait_for_timeout(2000)
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30, y - 30)
    page.mouse.down()
    page.mouse.move(x + 30, y + 30, steps=8)
    page.mouse.up()
    page.wait_for_timeout(1000)
    page.locator("#inpaint").click()
    images(page, "proposals", 4)


def test_it_shows_the_scales_of_a_picture(page):
    sample(page)
    page.get_by_role("tab", name="Inspect").click()
    page.get_by_role("button", name="Take the last sample").last.click()
    page.locator("#inspected img").wait_for()
    page.locator("#scales").click()
    images(page, "after-scales", 3)
    page.locator("#attention").click()
    page.get_by_text("fastvar").first.wait_for()


def test_it_compares_and_tells_mistakes(page):
    page.get_by_role("tab", name="Compare").click()
    page.locator("#compare").click()
    images(page, "images-1", 4)
    sync_api.expect(page.locator("#numbers-1")).to_contain_text("of keys and values an image")
    page.locator("#way-1 textarea, #way-1 input").first.fill("cache=windw")
    page.locator("#compare").click()
    page.get_by_text("did you mean 'window'").wait_for()


def test_two_users_do_not_mix(browser, page, address):
    sample(page)
    other = browser.new_context().new_page()
    other.set_default_timeout(PATIENCE)
    other.goto(address)
    other.get_by_role("button", name="Sample", exact=True).wait_for()
    assert other.locator("#history img").count() == 0
    other.context.close()
