"""Write tests/golden/torch_files: small files of torch.save, for testing the reader that does without PyTorch.

Not needed to run the tests. The values follow formulas that tests/weights/test_torch_file.py repeats.
"""

import zipfile
from pathlib import Path

import torch

OUTPUT = Path(__file__).with_name("torch_files")


def tensors() -> dict[str, torch.Tensor]:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8 - 1
    whole = torch.arange(60, dtype=torch.float32)
    state = {
        "float": base,
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "double": base.double() / 3,
        "long": torch.arange(5) - 2,
        "int": torch.arange(5, dtype=torch.int32) * 7,
        "short": torch.arange(5, dtype=torch.int16) - 300,
        "char": torch.arange(5, dtype=torch.int8) - 100,
        "byte": torch.arange(5, dtype=torch.uint8) + 250,
        "bool": torch.arange(5) % 2 == 0,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "transposed": base.t(),
        "strided": whole.reshape(3, 4, 5)[1:, ::2, 1::3],
        "expanded": base[0, :1].expand(1, 1),
        "parameter": torch.nn.Parameter(base[:2] * 2),
        "shared.a": whole[10:20],
        "shared.b": whole[15:25].reshape(2, 5),
    }
    return state


def main():
    OUTPUT.mkdir(exist_ok=True)
    state = tensors()
    torch.save(state, OUTPUT / "zip.pth")
    torch.save(state, OUTPUT / "legacy.pth", _use_new_zipfile_serialization=False)
    module = torch.nn.BatchNorm2d(3)  # its state dictionary has attributes
    torch.save({"state_dict": module.state_dict(), "epoch": 3}, OUTPUT / "batch_norm.pth")
    torch.save(module, OUTPUT / "whole_module.pth")  # must be refused
    for path in sorted(OUTPUT.iterdir()):
        print(path.name, path.stat().st_size, len(zipfile.ZipFile(path).namelist()) if zipfile.is_zipfile(path) else "")


if __name__ == "__main__":
    main()
