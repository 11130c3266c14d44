"""What the page asks for: prompts of models that take them, classes of others, nothing of the rest."""

import encoders
import pytest
from browsing import browsing, choose, images, opened, sample, served, shows, sync_api
from tiny import tiny_model
from tiny_text import text_model

import vartk
from vartk.app.subject import NO_CLASS, subject_of

pytest.importorskip("transformers")
# of gradio and its web server
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory):
    """A model of prompts that was trained on images with classes, too."""
    folder = tmp_path_factory.mktemp("text")
    vartk.save(text_model(folder / "encoder", classes=["apple", "pear"]), folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def unnamed_folder(tmp_path_factory):
    """A model whose classes have no names."""
    folder = tmp_path_factory.mktemp("unnamed") / "model"
    vartk.save(tiny_model(classes=[], conditioner={"name": "class", "count": 2}), folder)
    return folder


@pytest.fixture(scope="module")
def nothing_folder(tmp_path_factory, module_install):
    """A model that nothing is said to."""
    module_install(
        "acme_nothing",
        """
        import torch
        from vartk_registry import ComponentSpec, hookimpl
        from vartk_registry.interfaces import Condition

        @hookimpl
        def vartk_components():
            target = "acme_nothing:Nothing"
            return [ComponentSpec(kind="conditioner", name="nothing", target=target, summary="no condition")]

        class Nothing(torch.nn.Module):
            takes, choices = "label", []

            def __init__(self, *, width, classes):
                super().__init__()
                self.start = torch.nn.Parameter(torch.zeros(width))

            def parse(self, values):
                return torch.zeros(len(values), dtype=torch.int64)

            def forward(self, batch):
                return Condition(self.start.expand(len(batch), -1))

            def null(self, size):
                return self.parse([None] * size)

            def drop(self, batch, dropped):
                return batch
        """,
    )
    folder = tmp_path_factory.mktemp("nothing") / "model"
    vartk.save(tiny_model(classes=[], conditioner="nothing"), folder)
    return folder


@pytest.fixture(scope="module")
def joint_folder(tmp_path_factory):
    """A model of a class and a prompt at once."""
    folder = tmp_path_factory.mktemp("joint")
    encoder = encoders.write(folder / "encoder", "t5")
    of_text = {"name": "text", "encoder": "t5", "model": str(encoder), "length": 8}
    vartk.save(
        text_model(encoder, conditioner=["class", of_text], classes=["dark", "light"]), folder / "model"
    )
    return folder / "model"


@pytest.fixture(scope="module")
def page(text_folder, model_folder, unnamed_folder, nothing_folder, joint_folder):
    with (
        served(text_folder, model_folder, unnamed_folder, nothing_folder, joint_folder) as address,
        browsing() as browser,
        opened(browser, address) as page,
    ):
        yield page


def hidden(page, *names):
    for name in names:
        sync_api.expect(page.locator(f"#{name}")).to_be_hidden()


def test_prompts_take_the_place_of_classes(page):
    page.get_by_role("tab", name="Sample").click()
    hidden(page, "subject")
    page.locator("#subject-prompt textarea, #subject-prompt input").fill("a red apple")
    page.locator("#subject-negative textarea, #subject-negative input").fill("the green pear")
    sample(page)
    shows(page, "status", "4 images of a red apple")
    page.get_by_text("The same on the command line").click()
    shows(page, "command", "--prompt 'a red apple' --negative-prompt 'the green pear' --count 4")
    shows(page, "python", "samples = model.sample(['a red apple'] * 4, seed=0, negative='the green pear')")


def test_every_tab_asks_for_prompts(page):
    page.get_by_role("tab", name="In-paint").click()
    hidden(page, "painted")
    page.locator("#take").click()
    canvas = page.locator("#editor canvas").first
    canvas.wait_for()
    page.locator("#painted-prompt textarea, #painted-prompt input").fill("a pear")
    page.locator("#outpaint").click()
    images(page, "proposals", 4)
    page.get_by_role("tab", name="Inspect").click()
    hidden(page, "looked-at")
    page.locator("#looked-at-prompt textarea, #looked-at-prompt input").fill("a pear")
    page.locator("#attention").click()
    page.get_by_text("fastvar").first.wait_for()


def test_a_comparison_of_both_asks_for_both(page, model_folder):
    page.get_by_role("tab", name="Compare").click()
    hidden(page, "compared")
    choose(page, "model-1", str(model_folder))
    page.locator("#compared").wait_for()
    page.locator("#compared-prompt textarea, #compared-prompt input").fill("a pear")
    page.locator("#compare").click()
    images(page, "images-1", 4)


def test_a_model_of_both_is_asked_for_a_class_and_a_prompt(page, joint_folder):
    page.get_by_role("tab", name="Sample").click()
    choose(page, "model", str(joint_folder))
    choose(page, "subject", "light")
    page.locator("#subject-prompt textarea, #subject-prompt input").fill("a pear")
    page.locator("#subject-negative textarea, #subject-negative input").fill("")
    sample(page)
    shows(page, "command", "--class light --prompt 'a pear' --count 4")
    shows(page, "python", "model.sample([('light', 'a pear')] * 4, seed=0)")
    assert subject_of(vartk.load(joint_folder), NO_CLASS, "a pear", "").label == (None, "a pear")


def test_classes_without_names_are_numbers(page, unnamed_folder):
    page.get_by_role("tab", name="Sample").click()
    choose(page, "model", str(unnamed_folder))
    page.locator("#subject").wait_for()
    hidden(page, "subject-prompt", "subject-negative")
    choose(page, "subject", "1")
    sample(page)
    shows(page, "command", "--class 1 --count 4")


def test_a_model_that_takes_nothing_is_asked_for_nothing(page, nothing_folder):
    page.get_by_role("tab", name="Sample").click()
    choose(page, "model", str(nothing_folder))
    hidden(page, "subject", "subject-prompt", "subject-negative")
    sample(page)
    shows(page, "python", "samples = model.sample([None] * 4, seed=0)")
    ran = page.locator("#command").inner_text()
    assert "--class" not in ran
    assert "--prompt" not in ran
