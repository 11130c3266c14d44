"""The Stop button: what runs ends, the next one runs, and the history has whole images alone."""

import pytest
from browsing import browsing, choose, images, opened, sample, served, shows, sync_api

# of gradio and its web server
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def page(module_install, model_folder):
    """The page with a sampler that takes its time."""
    module_install(
        "acme_slow",
        """
        import time
        from vartk_registry import ComponentSpec, hookimpl
        from vartk_registry.interfaces import Draw

        @hookimpl
        def vartk_components():
            return [ComponentSpec(kind="sampler", name="slow", target="acme_slow:Slow", summary="takes 3 s")]

        class Slow:
            def __call__(self, logits, step, steps, random):
                time.sleep(3)
                return Draw(logits.argmax(dim=-1))
        """,
    )
    with served(model_folder) as address, browsing() as browser, opened(browser, address) as page:
        yield page


def test_stop_ends_what_runs_and_the_next_one_runs(page):
    sample(page)
    images(page, "history", 4)
    page.get_by_text("Sampling settings").click()
    choose(page, "settings-sampler", "slow")
    page.locator("#sample").click()
    shows(page, "status", "scale 1/3")
    page.locator("#stop").click()
    shows(page, "status", "stopped")
    page.wait_for_timeout(8000)  # longer than the other two scales would take
    shows(page, "status", "stopped")
    images(page, "history", 4)
    choose(page, "settings-sampler", "greedy")
    page.locator("#sample").click()
    shows(page, "status", "4 images of dark")
    images(page, "history", 8)
    sync_api.expect(page.locator("#status")).not_to_contain_text("stopped")
