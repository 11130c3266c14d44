"""vartk app: a page to play with."""

from __future__ import annotations

import argparse

from .. import terminal
from ..arguments import add_device, examples, whole_number


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "models",
        nargs="*",
        default=["emoji64"],
        metavar="MODEL",
        help="model folders, runs or published names (default: emoji64, the model in the box)",
    )
    parser.add_argument(
        "--port",
        type=whole_number(1, 65535),
        metavar="P",
        help="port of the local address (default: the first free one from 7860)",
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="also serve the page at a public address, through gradio's servers",
    )
    add_device(parser)
    examples(parser, "vartk app", "vartk app runs/transformer emoji64 --port 8000")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    from ...hub import find_model

    find_model(arguments.models[0])  # a misspelt name is told before gradio is imported, which takes seconds
    terminal.note(f"loading {arguments.models[0]}")
    from ...app import build_page, serve

    page = build_page(arguments.models, arguments.device)
    _, address, public = serve(page, port=arguments.port, share=arguments.share, block=False)
    terminal.out(f"page: {address}" + (f"\npublic: {public}" if public else ""))
    terminal.note("Ctrl-C ends it")
    page.block_thread()
    return 0
