"""The page with its tabs, and its server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from vartk_registry import MissingRequirement

try:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it when it is imported
    import gradio as gr
except ModuleNotFoundError as error:
    raise MissingRequirement(
        "vartk app needs gradio; type `pip install gradio`, or install vartk[app]"
    ) from error

from .comparison import compare_tab
from .inspection import inspect_tab
from .models import Models
from .paint import paint_tab
from .sample import sample_tab


def build_page(names: Sequence[str], device: str = "auto") -> gr.Blocks:
    """Return the page on models.

    One worker takes what users ask for in turn. What a user has drawn is that user's alone.

    Args:
        names: what `vartk.load` takes.

    Raises:
        VartkError: the first model cannot be loaded.
    """
    models = Models(names, device)
    with gr.Blocks(title="vartk", analytics_enabled=False) as page:
        gr.Markdown("# vartk\nNext-scale image models: each image is drawn scale by scale.")
        history = gr.State([])
        with gr.Tab("Sample"):
            sample_tab(models, history)
        with gr.Tab("In-paint, out-paint, edit"):
            paint_tab(models, history)
        with gr.Tab("Inspect"):
            inspect_tab(models, history)
        with gr.Tab("Compare"):
            compare_tab(models)
    page.queue(default_concurrency_limit=1)
    return page


def serve(page: gr.Blocks, *, port: int | None, share: bool, block: bool = True) -> Any:
    """Serve the page at a local address; with `share`, through gradio's own tunnel as well.

    Fonts are those of the machine, so that the page works offline.
    """
    theme = gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    return page.launch(
        server_port=port,
        share=share,
        prevent_thread_lock=not block,
        theme=theme,
        footer_links=["settings"],
        quiet=True,
        ssr_mode=False,
    )
