"""Names in generated code are made, not copied: valid, unlike keywords and builtins, unique where they stand."""

from __future__ import annotations

import builtins
import keyword
import re

#: Attributes of `torch.nn.Module` (held against torch by a test): a submodule of that name cannot be read as `self.name`.
MODULE_ATTRIBUTES = frozenset(
    """T_destination _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl _forward_hooks
    _forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks _forward_pre_hooks_with_kwargs
    _get_backward_hooks _get_backward_pre_hooks _get_name _is_full_backward_hook _load_from_state_dict
    _load_state_dict_post_hooks _load_state_dict_pre_hooks _maybe_warn_non_full_backward_hook _modules _named_members
    _non_persistent_buffers_set _parameters _register_load_state_dict_pre_hook _register_state_dict_hook
    _replicate_for_data_parallel _save_to_state_dict _slow_forward _state_dict_hooks _state_dict_pre_hooks
    _version _wrapped_call_impl add_module apply bfloat16 buffers call_super_init children compile cpu cuda double
    dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu zero_grad""".split()
)

#: What the file itself uses, or gives to the network's class.
FILE_NAMES = frozenset("F Module NamedTuple OrderedDict Tensor check_size check_sizes math nn self torch reset_parameters".split())

_TAKEN = FILE_NAMES | frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)


def attribute(label: str) -> bool:
    """Whether `self.label` can hold and give back a submodule or a parameter of that label."""
    plain = label.isascii() and label.isidentifier() and not keyword.iskeyword(label) and not label.startswith("__")
    return plain and label not in MODULE_ATTRIBUTES and label != "reset_parameters" and not re.fullmatch(r"forward\d+", label)


def identifier(text: str, fallback: str = "x") -> str:
    """A variable or parameter name out of any text: `dec[0]` gives `dec0`, `layer1.0.conv` gives `layer1_0_conv`."""
    words = [word for word in re.split(r"[^A-Za-z0-9_]+", text.replace("[", "").replace("]", "")) if word]
    name = "_".join(words).strip("_") if text.isascii() else ""
    if not name:
        return fallback
    if name[0].isdigit():
        name = f"{fallback}{name}"
    return f"{name}_" if name in _TAKEN or name in MODULE_ATTRIBUTES - {"half"} else name


def class_name(text: str) -> str:
    """The CamelCase of a spec's name: `inverted_residual` gives `InvertedResidual`, `resnet50` `Resnet50`."""
    words = re.findall(r"[A-Za-z0-9]+", text) if text.isascii() else []
    name = "".join(word[0].upper() + word[1:] for word in words)
    if not name or name[0].isdigit():
        name = f"Block{name}"
    return f"{name}Block" if name in _TAKEN else name


def unique(name: str, taken: set[str]) -> str:
    """`name`, or `name2`, `name3`, … where that is taken. Takes it."""
    result, count = name, 1
    while result in taken:
        count += 1
        result = f"{name}{count}"
    taken.add(result)
    return result
