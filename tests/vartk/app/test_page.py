"""The page, in a real browser."""

import pytest
from browsing import browsing, images, opened, sample, served, shows

# of gradio and its web server
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def address(model_folder):
    with served(model_folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


@pytest.fixture
def page(browser, address):
    with opened(browser, address) as page:
        yield page


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
    shows(page, "command", "vartk sample")
    shows(page, "command", "--class dark --count 4 --seed 0")


def test_settings_come_from_the_registry(page):
    page.get_by_text("Sampling settings").click()
    page.get_by_label("cache", exact=True).click()
    page.get_by_role("option", name="window", exact=True).click()
    page.get_by_text("keeps the condensed scales").or_(page.get_by_text("scales")).first.wait_for()
    page.get_by_label("last", exact=True).first.wait_for()  # a parameter of the strategy
    sample(page)
    page.get_by_text("The same on the command line").click()
    shows(page, "command", "cache=window")


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
    shows(page, "numbers-1", "of keys and values an image")
    page.locator("#way-1 textarea, #way-1 input").first.fill("cache=windw")
    page.locator("#compare").click()
    page.get_by_text("did you mean 'window'").wait_for()


def test_two_users_do_not_mix(browser, page, address):
    sample(page)
    with opened(browser, address) as other:
        assert other.locator("#history img").count() == 0
