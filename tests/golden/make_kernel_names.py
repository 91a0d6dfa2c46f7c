"""Write src/tools/check_ops/kernels_{cpu,gpu}.txt: the operators for which MindSpore's plug-ins register kernels.

    python tests/golden/make_kernel_names.py

When a plug-in is loaded, it puts the names of its kernels into maps. Every insertion into a map calls a function of
libstdc++, which a preloaded library replaces by one that also writes the name down. The maps of kernels are recognized
by names that they alone hold. The plug-in for GPU is loaded without a GPU: libraries of functions that do nothing stand
in for CUDA's. Needs gcc, binutils and the wheel of MindSpore for x86-64.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from string import ascii_letters, digits

TABLES = Path(__file__).parents[2] / "src" / "tools" / "check_ops"
WHEEL = Path(find_spec("mindspore").origin).parent
PLUGINS = WHEEL / "lib" / "plugin"
GPU = "libmindspore_gpu.so.11.6"
INSERT = "_ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_"
RECORDER = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int copy(const void *from, void *to, size_t size) {
  struct iovec here = {to, size}, there = {(void *)from, size};
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)size;
}

// A node begins with 32 bytes of the tree; a key that is a string of the old ABI is a pointer, its length lies before.
void INSERT(char left, void *node, void *parent, void *tree) {
  static void (*original)(char, void *, void *, void *);
  static FILE *out;
  if (!out) out = fopen(getenv("RECORD"), "a"), original = dlsym(RTLD_NEXT, "INSERT");
  char *text, name[128] = {0};
  size_t size;
  if (copy((char *)node + 32, &text, 8) && copy(text - 24, &size, 8) && size > 0 && size < 127 &&
      copy(text, name, size + 1) && strlen(name) == size && strspn(name, LETTERS) == size) {
    Dl_info where;
    const char *owner = dladdr(tree, &where) ? where.dli_fname : NULL;
    if (owner && strrchr(owner, '/')) owner = strrchr(owner, '/') + 1;
    fprintf(out, "%p %s %s\n", tree, owner ? owner : "heap", name);
    fflush(out);
  }
  original(left, node, parent, tree);
}
""".replace("INSERT", INSERT).replace("LETTERS", f'"{ascii_letters}{digits}_"')
LOAD = """
import ctypes, os
import mindspore as ms
ms.set_device("CPU")
ms.ops.add(ms.Tensor(1), ms.Tensor(2)).asnumpy()
for library in os.environ["LOAD"].split():
    ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
os._exit(0)
"""
LIBRARIES = {  # beginning of a function's name: the library of CUDA that has it
    "cublas": "libcublas.so.11", "curand": "libcurand.so.10", "cudnn": "libcudnn.so.8", "cusolver": "libcusolver.so.11",
    "cufft": "libcufft.so.10", "cusparse": "libcusparse.so.11", "nvrtc": "libnvrtc.so.11.2",
    "cuda": "libcudart.so.11.0", "__cuda": "libcudart.so.11.0", "cu": "libcuda.so.1",
}  # fmt: skip


def compile_library(source: str, target: Path, *options: str) -> None:
    """Compile C code to a shared library."""
    command = ["gcc", "-w", "-shared", "-fPIC", "-D_GNU_SOURCE", "-xc", "-", *options, "-o", target, "-ldl"]
    subprocess.run(list(map(str, command)), input=source, text=True, check=True)


def make_stand_ins(folder: Path) -> None:
    """Libraries with the functions of CUDA that the plug-in needs, with the versions of their symbols."""
    functions: dict[str, dict[str, str]] = defaultdict(dict)
    for file in (PLUGINS / GPU, PLUGINS / "gpu" / "libcuda_ops.so.11"):
        told = subprocess.run(["nm", "-D", "--undefined-only", file], capture_output=True, text=True, check=True).stdout
        for name, version in re.findall(r" U ((?:cu|__cu|nvrtc)\w+)(?:@+(\S+))?", told):
            library = next(library for start, library in LIBRARIES.items() if name.startswith(start))
            functions[library][name] = functions[library].get(name) or version
    for library, names in functions.items():
        options = [f"-Wl,-soname,{library}"]
        if version := next(filter(None, names.values()), None):
            script = folder / "versions"
            script.write_text(f"{version} {{ global: *; }};\n")
            options.append(f"-Wl,--version-script={script}")
        source = "static char room[65536];\n" + "".join(f"void *{name}() {{ return room; }}\n" for name in names)
        compile_library(source, folder / library, *options)


def recorded_maps(folder: Path, *libraries: Path) -> list[tuple[str, set[str]]]:
    """Owner and keys of every map that is filled while MindSpore and the libraries are loaded."""
    record = folder / "record"
    record.unlink(missing_ok=True)
    environment = {
        **os.environ, "RECORD": str(record), "LOAD": " ".join(map(str, libraries)),
        "LD_PRELOAD": str(folder / "recorder.so"), "LD_LIBRARY_PATH": str(folder),
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", LOAD], env=environment, check=True)
    maps = defaultdict(set)
    for line in record.read_text().splitlines():
        tree, owner, name = line.split()
        maps[tree, owner].add(name)
    return [(owner, names) for (_, owner), names in maps.items()]


def write_table(target: str, chosen: list[set[str]], expected: int) -> None:
    """Write the names of all chosen maps, which must be as many as expected."""
    if len(chosen) != expected:
        sys.exit(f"{target}: found {len(chosen)} maps of kernels instead of {expected}; MindSpore has changed")
    names = sorted(set().union(*chosen))
    (TABLES / f"kernels_{target}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    print(f"{target}: {len(names)} operators")


def main() -> None:
    """Record both plug-ins and write the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compile_library(RECORDER, folder / "recorder.so", "-Wl,--no-as-needed", "-lstdc++")
        cpu = recorded_maps(folder)
        make_stand_ins(folder)
        both = recorded_maps(folder, PLUGINS / GPU)
    # Kernels that are registered under their type alone, kept on the heap; the CPU's are filled in both runs.
    heap = [names for owner, names in cpu if owner == "heap" and {"Softmax", "Conv2D"} <= names]
    replaced = [names for owner, names in cpu if owner == "libmindspore_ops_cpu.so" and {"Muls", "Any"} <= names]
    write_table("cpu", heap + replaced, 2)
    own = [names for owner, names in both if owner == GPU and ("StreamSend" in names or {"Muls", "Any"} <= names)]
    heap_gpu = [names for owner, names in both if owner == "heap" and {"Softmax", "Conv2D"} <= names]
    write_table("gpu", own + [names for names in heap_gpu if names not in heap], 3)


if __name__ == "__main__":
    main()
