"""`python export.py net.py net.onnx`: a generated module through `torch.onnx.export`, batch, height and width left open.

A process of its own, so that what is measured is what a user would wait for.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import torch
from torch import nn

source, target = sys.argv[1:]
found = spec_from_file_location("net", source)
module = module_from_spec(found)
found.loader.exec_module(module)
*_, kind = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, nn.Module))
network = kind().eval()
channels = next(parameter.shape[1] for parameter in network.parameters() if parameter.dim() == 4)
# Sizes must be unlike each other, or the exporter takes them for one.
image = torch.zeros(2, channels, 224, 256) if channels == 3 else torch.zeros(2, channels, 32, 48)
sizes = ({0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)
torch.onnx.export(network, (image,), target, dynamo=True, dynamic_shapes=sizes, external_data=False, verbose=False)
