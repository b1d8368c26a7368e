"""The block of symbols.py with the mixer `units`, in C: in bfloat16, on CPUs with AVX-512 BF16.

It is about twice as fast as PyTorch, since a puzzle's numbers stay in the cache. Without a C
compiler or the instructions, `block` returns None and symbols.py computes the block itself.
"""

import ctypes
import hashlib
import os
import pathlib
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

SOURCE = pathlib.Path(__file__).with_name("block.c")
LANES, UNITS = 16, 6


class Shape(ctypes.Structure):
    """The struct of the same name in block.c."""

    _fields_ = [
        *((name, ctypes.c_int) for name in "batch symbols side box_rows box_cols".split()),
        *((name, ctypes.c_int) for name in "width mixer inner".split()),
        ("eps", ctypes.c_float),
    ]


@cache
def library() -> ctypes.CDLL | None:
    """Returns block.c as a library, or None where it cannot be compiled or run."""
    flags = ["-O3", "-march=native", "-shared", "-fPIC"]
    try:
        built_for = subprocess.run(
            ["cc", "-march=native", "-E", "-v", "-x", "c", os.devnull],
            capture_output=True, check=True,
        ).stderr  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    name = hashlib.sha256(SOURCE.read_bytes() + built_for).hexdigest()[:16]
    file = pathlib.Path(tempfile.gettempdir()) / f"trm-block-{name}.so"
    if not file.exists():
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".so", delete=False) as part:
            subprocess.run(["cc", *flags, "-o", part.name, str(SOURCE)], check=True)
        pathlib.Path(part.name).rename(file)
    found = ctypes.CDLL(str(file))
    return found if found.supported() else None


def address(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def in_parts(batch: int, run) -> None:
    """Calls run(part, first, count) for a share of the batch per thread of PyTorch."""
    threads = min(torch.get_num_threads(), batch)
    if threads == 1:
        run(0, 0, batch)
        return
    ends = [batch * i // threads for i in range(threads + 1)]
    tasks = [pool(threads).submit(run, i, ends[i], ends[i + 1] - ends[i]) for i in range(threads)]
    for task in tasks:
        task.result()


class FusedBlock(torch.autograd.Function):
    @staticmethod
    def forward(ctx, box, eps, x, *weights):
        batch, symbols, cells, width = x.shape
        side = round(cells**0.5)
        mixer, inner = weights[1].shape[1], weights[3].shape[1]
        x, weights = x.contiguous(), [w.detach().contiguous() for w in weights]
        empty = lambda columns, dtype: torch.empty(batch, symbols * cells, columns, dtype=dtype)
        out = torch.empty_like(x)
        kept = [None] * 5
        if any(ctx.needs_input_grad):
            half, full = torch.bfloat16, torch.float32
            kept = [
                empty(2 * mixer, half), empty(width, half), empty(1, full), empty(2 * inner, half),
                empty(1, full),
            ]  # fmt: skip
            ctx.save_for_backward(x, out, *weights, *kept)
        ctx.shape = (symbols, side, *box, width, mixer, inner, eps)

        def run(part: int, first: int, count: int) -> None:
            arguments = [address(w) for w in weights] + [
                address(None if t is None else t[first:]) for t in (x, *kept, out)
            ]
            library().forward(ctypes.byref(Shape(count, *ctx.shape)), *arguments)

        in_parts(batch, run)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, out, *rest = ctx.saved_tensors
        weights, kept = rest[:4], rest[4:]
        grad_out, grad_x = grad_out.contiguous(), torch.empty_like(x)
        threads = torch.get_num_threads()
        sums = [torch.zeros(threads, *w.shape) for w in weights]

        def run(part: int, first: int, count: int) -> None:
            arguments = [address(w) for w in weights]
            arguments += [address(t[first:]) for t in (x, *kept, out, grad_out, grad_x)]
            arguments += [address(s[part]) for s in sums]
            library().backward(ctypes.byref(Shape(count, *ctx.shape)), *arguments)

        in_parts(len(x), run)
        return None, None, grad_x, *(s.sum(0) for s in sums)


def block(x: Tensor, box: tuple[int, int], eps: float, *weights: Tensor) -> Tensor | None:
    """Returns the result of a block, or None if this file does not support the input.

    x is [B, K, S, D]. `weights` are gate_up and down of the mixer, then of the SwiGLU.
    """
    widths = x.shape[-1], weights[1].shape[1], weights[3].shape[1]
    fits = all(n % LANES == 0 for n in widths) and widths[1] % (8 * UNITS) == 0
    supported = x.dtype == torch.bfloat16 and x.device.type == "cpu" and fits
    if torch.compiler.is_compiling() or not supported or library() is None:
        return None
    return FusedBlock.apply(box, eps, x, *weights)
