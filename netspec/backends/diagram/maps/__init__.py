"""The style `maps`: the tensors between the layers as bars, as papers draw them."""
