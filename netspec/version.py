"""The version of netspec: what it writes is a function of spec, parameters, seed and this."""

VERSION = "0.1.0"
