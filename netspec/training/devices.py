"""Whether a run can compute where it is asked to: known before any data are read or process is started."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.training.loop.job import Hardware


def check_hardware(hardware: "Hardware") -> None:
    """Raises `Refusal`: NS821 where the choice makes no sense in itself, NS822 where this machine has no such devices."""
    _check_call(hardware)
    if hardware.device == "cpu":
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if hardware.device == "auto" and count == 0:
        return
    if count == 0:
        why = f"PyTorch {torch.__version__} is built without CUDA" if torch.version.cuda is None else "PyTorch finds no GPU on this machine"
        raise Refusal("NS822", f"there is no device `{hardware.device}` here", notes=(why,), helps=("--device cpu, or auto",), status=2)
    number = int(hardware.device.partition(":")[2] or 0)
    if number >= count:
        known = ", ".join(f"cuda:{n}" for n in range(count))
        raise Refusal("NS822", f"there is no device `{hardware.device}` here", helps=(f"devices: {known}",), status=2)
    if hardware.devices > count:
        helps = (f"--devices {count}", "--device cpu, for several processes on the processor")
        raise Refusal("NS822", f"{hardware.devices} GPUs are asked for, and this machine has {count}", helps=helps, status=2)


def _check_call(hardware: "Hardware") -> None:
    """What is wrong with a choice on every machine."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,4})?", hardware.device):
        raise Refusal("NS821", f"there is no device `{hardware.device}`", helps=("devices: auto, cpu, cuda, cuda:1 …",), status=2)
    for name, value in (("--devices", hardware.devices), ("--nodes", hardware.nodes), ("--threads", hardware.threads)):
        if value is not None and value < 1:
            raise Refusal("NS821", f"{name} is 1 or more, not {value}", status=2)
    if ":" in hardware.device and hardware.devices > 1:
        raise Refusal(
            "NS821", f"`{hardware.device}` is one device, and --devices is {hardware.devices}", helps=("--device cuda",), status=2
        )
    if not 0 <= hardware.rank < hardware.nodes:
        helps = (f"--node-rank is from 0 to {hardware.nodes - 1}, another one on every machine",)
        raise Refusal("NS821", f"--node-rank {hardware.rank} is none of {hardware.nodes} machines", helps=helps, status=2)
    if hardware.nodes > 1 and not _is_address(hardware.master):
        given = f"not `{hardware.master}`" if hardware.master else "and none is given"
        message = f"{hardware.nodes} machines need the address of the first one, HOST:PORT, {given}"
        raise Refusal("NS821", message, helps=("--master first-machine:29500, the same on every machine",), status=2)
    if hardware.master and hardware.nodes == 1:
        raise Refusal("NS821", "--master is the address of the first of several machines", helps=("--nodes 2 --node-rank 0",), status=2)


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 65536
