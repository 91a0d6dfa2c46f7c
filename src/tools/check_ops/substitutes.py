"""What to use instead of operators that a target lacks or runs slowly."""

SUBSTITUTES = {
    "AdaptiveAvgPool2D": "products with constant matrices: the form of layers named `products`, as in exported files",
    "Custom": "a standard operator: export with export.py, which never writes native kernels, or device.native=off",
    "Einsum": "ops.BatchMatMul between ops.Transpose and ops.Reshape",
    "Erf": "nn.GELU(approximate=True), whose values differ by up to 5e-4",
    "HSwish": "x * ops.ReLU6()(x + 3) / 6",
    "MaxPool3DWithArgmax": "nn.MaxPool2d with pad_mode='same' or 'valid', after ops.pad of the map",
    "MaxPool3DGradWithArgmax": "nn.MaxPool2d with pad_mode='same' or 'valid', after ops.pad of the map",
    "Roll": "ops.Concat of two slices",
    "Unstack": "ops.Split and ops.Squeeze",
}
