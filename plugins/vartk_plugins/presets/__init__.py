"""Named configurations: the official models, small ones that train on a laptop, and ways to sample."""

from pathlib import Path

from vartk_registry import PresetSpec, Weights, hookimpl

_CONFIGS = Path(__file__).parent / "configs"
_MODELS = Path(__file__).parent / "models"

_IN_THE_BOX = ("emoji64", "emoji64-text")

_SHA256 = {
    "vae_ch160v4096z32.pth": "7c3ec27ae28a3f87055e83211ea8cc8558bd1985d7b51742d074fb4c2fcf186c",
    "var_d16.pth": "4f6151aad91c94e03e224dd7358d8389fa05301c0c291279566998efb54b0ecb",
    "var_d20.pth": "f7d232978e6fe82a4f2e0f5d82b012e01b1aa5abfe93ce2b56104ec0e878a10f",
    "var_d30.pth": "7b11551dd4d794c7d6ed10b3d2822d42efe609a86128171b646e543dd2633b56",
}


@hookimpl
def vartk_presets() -> list[PresetSpec]:
    """Offer the configurations in `configs`; the official ones know where their weights are."""
    official = {
        "var-d16": "ImageNet 256 px, 310 M parameters",
        "var-d20": "ImageNet 256 px, 601 M parameters",
        "var-d24": "ImageNet 256 px, 1.03 B parameters",
        "var-d30": "ImageNet 256 px, 2.01 B parameters",
        "var-d36": "ImageNet 512 px, 2.35 B parameters, shared AdaLN",
    }
    presets = [
        PresetSpec(
            name=name,
            path=_CONFIGS / f"{name}.yaml",
            summary=summary,
            weights=Weights(
                repo="FoundationVision/var",
                tokenizer="vae_ch160v4096z32.pth",
                transformer=f"{name.replace('-', '_')}.pth",
                importer="var",
                sha256=_SHA256,
            ),
        )
        for name, summary in official.items()
    ]
    bitwise = {
        "infinity-125m": ("256 px, 125 M parameters", "infinity_vae_d16.pth", "infinity_125M_256x256.pth"),
        "infinity-2b": ("1024 px, 2 B parameters", "infinity_vae_d32reg.pth", "infinity_2b_reg.pth"),
        "infinity-8b": (
            "1024 px, 8 B parameters, 2x2 codes a token",
            "infinity_vae_d56_f8_14_patchify.pth",
            "infinity_8b_weights",
        ),
    }
    presets += [
        PresetSpec(
            name=name,
            path=_CONFIGS / f"{name}.yaml",
            summary=f"text to image, {summary}",
            weights=Weights(
                repo="FoundationVision/Infinity",
                tokenizer=tokenizer,
                transformer=transformer,
                importer="infinity",
            ),
        )
        for name, (summary, tokenizer, transformer) in bitwise.items()
    ]
    small = {
        "emoji64": "64-px images of 9 groups in 5 styles: the model in the box",
        "emoji64-text": "emoji64 with prompts: the model of texts in the box (needs vartk[text])",
        "emoji64-raster": "the next-token model beside emoji64: one code a step in raster order",
        "emoji64-dit": "a diffusion transformer on the latents of emoji64's tokenizer, to compare with",
        "demo": "32-px images; `vartk demo` trains it in two minutes on two cores",
    }
    presets += [
        PresetSpec(
            name=name,
            path=_CONFIGS / f"{name}.yaml",
            summary=summary,
            model=_MODELS / name if name in _IN_THE_BOX else None,
        )
        for name, summary in small.items()
    ]
    presets.append(
        PresetSpec(
            name="fast",
            path=_CONFIGS / "fast.yaml",
            summary="a sampling preset (preset=fast): half precision, fewer keys and tokens, less guidance",
        )
    )
    return presets
