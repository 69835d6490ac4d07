"""The vocabulary of `train` sections: which entry lives in which file. Files are imported when one of their entries is used.

The table is written down, as that of the operators is, and a test holds it against what the files define.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from netspec.recipe.entry import Entry

#: slot, then file, then names
VOCABULARY: dict[str, dict[str, tuple[str, ...]]] = {
    "optimizer": {
        "optimizers": ("sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "nadam", "radam", "adamax", "rprop", "lbfgs", "asgd"),
        "more_optimizers": ("adagrad_da", "ftrl", "proximal_gradient_descent", "proximal_adagrad", "lars", "lion"),
    },
    "schedule": {
        "schedules": ("constant", "step", "multi_step", "exponential", "polynomial", "cosine", "one_cycle", "warmup", "plateau"),
    },
    "loss": {
        "losses": ("cross_entropy", "nll", "binary_cross_entropy", "binary_cross_entropy_with_logits", "focal", "kl_div", "ctc"),
        "regression_losses": ("mse", "squared_error", "l1", "huber", "smooth_l1", "cosine", "triplet"),
        "image_losses": ("dice", "jaccard", "total_variation", "gaussian_kl"),
    },
    "penalty": {"settings": ("l1", "l2")},
    "metric": {
        "metrics": (
            "accuracy", "top_k", "precision", "recall", "specificity", "f1", "iou", "dice", "auroc", "average_precision", "matthews",
            "cohen_kappa", "calibration_error", "perplexity", "label_error_rate", "mae", "mse", "rmse", "mape", "r2", "explained_variance",
            "pearson", "psnr", "ssim",
        ),
    },
    "augmentation": {
        "augmentations": ("random_crop", "random_resized_crop", "hflip", "vflip", "rotation", "affine", "perspective"),
        "more_augmentations": (
            "color_jitter", "grayscale", "gaussian_blur", "pca_jitter", "random_erasing", "cutout", "noise", "masking", "mixup", "cutmix",
        ),
    },
    "normalization": {"normalizations": ("standardize", "min_max", "log")},
    "clip": {"settings": ("norm", "value")},
    "constraint": {"settings": ("max_norm",)},
    "stop": {"settings": ("early",)},
    "scaling": {"settings": ("linear", "sqrt")},
    "search": {"settings": ("log", "uniform", "int", "choice")},
    "pretrained": {"settings": ("file",)},
}  # fmt: skip

#: other names of some entries: PyTorch's, and those that everybody shortens
ALIASES: dict[str, dict[str, str]] = {
    "loss": {
        "nll_loss": "nll", "bce": "binary_cross_entropy", "bce_with_logits": "binary_cross_entropy_with_logits", "mse_loss": "mse",
        "l1_loss": "l1", "mae": "l1", "huber_loss": "huber", "smooth_l1_loss": "smooth_l1", "kl": "kl_div", "ctc_loss": "ctc",
        "iou": "jaccard", "cosine_embedding": "cosine", "tv": "total_variation",
    },
    "metric": {
        "acc": "accuracy", "f1_score": "f1", "jaccard": "iou", "mean_iou": "iou", "auc": "auroc", "mcc": "matthews", "l1": "mae",
        "ece": "calibration_error", "ap": "average_precision", "cer": "label_error_rate",
    },
    "augmentation": {
        "horizontal_flip": "hflip", "vertical_flip": "vflip", "random_rotation": "rotation", "random_affine": "affine",
        "random_perspective": "perspective", "gaussian_noise": "noise", "colour_jitter": "color_jitter",
    },
}  # fmt: skip


@lru_cache(maxsize=None)
def known() -> dict[str, tuple[str, ...]]:
    """The names of every slot, without aliases."""
    return {slot: tuple(name for names in files.values() for name in names) for slot, files in VOCABULARY.items()}


def is_known(slot: str, name: str) -> bool:
    """Whether a slot has an entry of that name or alias."""
    return name in known()[slot] or name in ALIASES.get(slot, {})


@lru_cache(maxsize=None)
def lookup(slot: str, name: str) -> type[Entry]:
    """The entry of that name or alias in a slot; imports its file. Raises KeyError for an unknown one."""
    name = ALIASES.get(slot, {}).get(name, name)
    for file, names in VOCABULARY[slot].items():
        if name in names:
            for value in vars(import_module(f"netspec.recipe.{file}")).values():
                if isinstance(value, type) and issubclass(value, Entry) and vars(value).get("NAME") == name and value.SLOT == slot:
                    return value
    raise KeyError(f"{slot} {name}")
