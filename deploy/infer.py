"""Segment images with an exported model; this file needs nothing else of the project.

    python infer.py --model model.onnx --input photo.jpg --output results
    python infer.py --model model.onnx --input photos --output results

Beside the model lies its description (model.onnx.json), which export.py wrote. Needed: NumPy, OpenCV, and one of
onnxruntime (.onnx), MindSpore (.mindir) and MindSpore Lite (.mindir, .ms), whichever is there. Written for each image:
NAME.png (the class of each pixel, 8-bit gray) and NAME_color.png. An image of another size than the model's is resized
to it, and the result back.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

KEYS = ("input", "normalize", "output", "colors")  # of the description
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class InferError(Exception):
    """A mistake of the caller: one message, no traceback."""


def read_description(model):
    """The description beside the model; that of `model.mindir` serves `model.ms` too, which was converted from it."""
    for file in (model.with_name(model.name + ".json"), model.with_suffix(".mindir.json")):
        if file.is_file():
            return check_description(file)
    raise InferError(f"{model}.json is missing: copy the description that export.py wrote beside the model")


def check_description(file):
    """The contents of a description, which must have every entry that is used here."""
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        missing = [key for key in KEYS if key not in description]
    except (ValueError, TypeError):
        raise InferError(f"{file}: not a readable description; copy it from the model's folder again") from None
    if missing:
        raise InferError(f"{file}: lacks {', '.join(missing)}; export the model again with export.py")
    return description


def load_onnxruntime(model, threads):
    """Return a function from the input array to the output array."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # 0: one per core
    session = onnxruntime.InferenceSession(str(model), options, providers=onnxruntime.get_available_providers())
    name = session.get_inputs()[0].name
    return lambda array: session.run(None, {name: array})[0]


def load_mindspore_lite(model, threads):
    """The same with MindSpore Lite on a CPU; written from its documentation, and not run yet."""
    import mindspore_lite as lite

    context = lite.Context()
    context.target = ["cpu"]
    if threads:
        context.cpu.thread_num = threads
    network = lite.Model()
    kind = lite.ModelType.MINDIR_LITE if model.suffix == ".ms" else lite.ModelType.MINDIR
    network.build_from_file(str(model), kind, context)

    def run(array):
        inputs = network.get_inputs()
        inputs[0].set_data_from_numpy(array)
        return network.predict(inputs)[0].get_data_to_numpy()

    return run


def load_mindspore(model, _threads):
    """The same with MindSpore, on the device that it finds."""
    import os

    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")  # its oneDNN takes slow kernels on processors with AVX-512
    import mindspore
    from mindspore import Tensor, nn

    network = nn.GraphCell(mindspore.load(str(model)))
    return lambda array: network(Tensor(array)).asnumpy()


LOADERS = {
    ".onnx": (load_onnxruntime,),
    ".mindir": (load_mindspore, load_mindspore_lite),
    ".ms": (load_mindspore_lite,),
}


def load(model, threads=0):
    """Load the model with the first program that is installed."""
    if model.suffix not in LOADERS:
        raise InferError(f"{model}: expected a file {', '.join(LOADERS)}")
    if not model.is_file():
        raise InferError(f"{model}: not found")
    missing = []
    for loader in LOADERS[model.suffix]:
        try:
            return loader(model, threads)
        except ImportError as error:
            missing.append(error.name)
        except Exception as error:  # each package has its own for damaged files
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InferError(f"{model}: cannot be loaded ({reason}); copy it again, or export it again") from None
    raise InferError(f"{model}: needs one of these packages: {', '.join(missing)}")


class Segmenter:
    """From RGB images to classes, as the description says.

    Args:
        run: from the input array to the output array.
        description: the contents of the .json file.
    """

    def __init__(self, run, description):
        self.run = run
        taken, given = description["input"], description["output"]
        self.batch = 1 if taken["shape"][0] == "any" else taken["shape"][0]
        self.size = tuple(taken["shape"][1:3] if taken["layout"] == "NHWC" else taken["shape"][2:])
        self.takes_colors, self.gives_ids = taken["type"] == "uint8", given["name"] == "ids"
        normalize = description["normalize"]
        self.mean, self.std = (np.array(normalize[key], np.float32) for key in ("mean", "std"))

    def __call__(self, image):
        """RGB bytes [H, W, 3] -> the class of each pixel, uint8 [H, W]."""
        height, width = image.shape[:2]
        array = cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_LINEAR)
        if not self.takes_colors:
            array = ((array - self.mean) / self.std).transpose(2, 0, 1)
        batch = np.ascontiguousarray(np.repeat(array[None], self.batch, axis=0))
        output = self.run(batch)[0]
        if self.gives_ids:
            return cv2.resize(output, (width, height), interpolation=cv2.INTER_NEAREST)
        planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in output]
        return np.stack(planes).argmax(axis=0).astype(np.uint8)


def find_images(path):
    """The image itself, or the images in a folder, sorted."""
    if path.is_file():
        return [path]
    images = sorted(one for one in path.glob("*") if one.suffix.lower() in SUFFIXES) if path.is_dir() else []
    if not images:
        raise InferError(f"--input {path}: no image found ({', '.join(SUFFIXES)})")
    return images


def name_results(images, folder):
    """Two paths for each image: classes and colors.

    Raises:
        InferError: one would replace an image or another result.
    """
    results = [[folder / f"{image.stem}{ending}.png" for ending in ("", "_color")] for image in images]
    taken = {image.resolve() for image in images}
    for path in (path.resolve() for pair in results for path in pair):
        if path in taken:
            raise InferError(f"--output {folder}: {path.name} would replace an image or another result")
        taken.add(path)
    return results


def read_image(path):
    """RGB bytes [H, W, 3], upright."""
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InferError(f"{path}: not a readable image; remove or replace it")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def main():
    """Segment the images."""
    parser = argparse.ArgumentParser(description="Segment images with an exported model.")
    parser.add_argument("--model", required=True, type=Path, metavar="FILE", help=", ".join(LOADERS))
    parser.add_argument("--input", required=True, type=Path, metavar="PATH", help="an image or a folder of images")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of onnxruntime and MindSpore Lite")
    arguments = parser.parse_args()
    images = find_images(arguments.input)
    results = name_results(images, arguments.output)
    description = read_description(arguments.model)
    segment = Segmenter(load(arguments.model, arguments.threads), description)
    colors = np.array(description["colors"], np.uint8)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for path, targets in zip(images, results, strict=True):
        classes = segment(read_image(path))
        for target, picture in zip(targets, (classes, colors[classes][..., ::-1]), strict=True):
            cv2.imencode(".png", picture)[1].tofile(target)
    print(f"wrote {len(images)} results into {arguments.output}")


if __name__ == "__main__":
    try:
        main()
    except InferError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        where = error.filename or "writing"
        print(f"error: {where}: {error.strerror}; name another path or make room", file=sys.stderr)
        sys.exit(2)
