#!/usr/bin/env python3
"""Times refinement steps in PyTorch on a CUDA device, to compare the shaders with.

    torch_step.py OURS.json [--out FILE] [--modes A,B] [--cuda N] [--cpu]

OURS.json is the output of `cargo bench --bench gpu -- --json`. It gives the models, sizes and
batches. The script counts PyTorch's operations, to check that a step is the same work. Weights are
random.

A mode is EXECUTION-DTYPE, with the dtype bf16, tf32 or f32, and the execution:

    eager    without compilation
    compile  the whole step through torch.compile
    graph    a compiled level, with all passes captured in one CUDA graph

Exit code 3: PyTorch or a CUDA device is not available.
"""

import argparse
import json
import math
import platform
import statistics
import sys
import time
from pathlib import Path

try:
    import torch
    import torch.nn.functional as F
    from torch.utils.flop_counter import FlopCounterMode
except ImportError as e:
    print(f"skipped: PyTorch is not available ({e})", file=sys.stderr)
    sys.exit(3)

MODES = "eager-bf16,compile-bf16,graph-bf16"


def rms_norm(x, eps):
    """Returns the RMSNorm over the last dimension, computed in f32."""
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def swiglu(x, gate_up, down):
    """Returns the SwiGLU of `x`, with the gate and up projections in one product."""
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, down)


class Block(torch.nn.Module):
    """Attention, or a SwiGLU over the positions; then a SwiGLU over the channels. Post-norm."""

    def __init__(self, m, random):
        super().__init__()
        d, l, i, t = m["hidden"], m["positions"], m["inner"], m["token_inner"]
        self.heads, self.eps = m["heads"], m["eps"]
        self.gate_up, self.down = random(2 * i, d), random(d, i)
        self.mixes = t > 0
        if self.mixes:
            self.token_gate_up, self.token_down = random(2 * t, l), random(l, t)
        else:
            self.qkv, self.o = random(3 * d, d), random(d, d)

    def attention(self, x, rope):
        batch, positions, hidden = x.shape
        qkv = F.linear(x, self.qkv).view(batch, positions, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if rope is not None:
            q, k = apply_rope(q, *rope), apply_rope(k, *rope)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return F.linear(mixed.transpose(1, 2).reshape(batch, positions, hidden), self.o)

    def forward(self, x, rope):
        if self.mixes:
            y = x.transpose(1, 2)
            x = rms_norm(y + swiglu(y, self.token_gate_up, self.token_down), self.eps).transpose(
                1, 2
            )
        else:
            x = rms_norm(x + self.attention(x, rope), self.eps)
        return rms_norm(x + swiglu(x, self.gate_up, self.down), self.eps)


def apply_rope(x, cosines, sines):
    """Applies the rotary embedding in f32, to the pairs (i, i + half) of each head."""
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cosines - b * sines, b * cosines + a * sines), dim=-1).to(x.dtype)


class Step(torch.nn.Module):
    """All passes of a refinement step, and both heads. The input is embedded before, as in ours."""

    def __init__(self, m, dtype, device):
        super().__init__()
        generator = torch.Generator().manual_seed(12)

        def random(rows, columns):
            values = torch.randn(rows, columns, generator=generator) / math.sqrt(columns)
            return torch.nn.Parameter(values.to(device, dtype), requires_grad=False)

        self.m = m
        self.blocks = torch.nn.ModuleList(Block(m, random) for _ in range(m["layers"]))
        self.lm_head, self.q_head = random(m["vocab"], m["hidden"]), random(2, m["hidden"])
        self.q_bias = torch.nn.Parameter(
            torch.zeros(2, device=device, dtype=dtype), requires_grad=False
        )
        self.rope = None
        if m["rope_theta"] and not m["token_inner"]:
            half = m["hidden"] // m["heads"] // 2
            frequency = m["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
            angle = torch.arange(m["positions"], dtype=torch.float64)[:, None] * frequency
            self.rope = [f(angle).float().to(device) for f in (torch.cos, torch.sin)]

    def level(self, z, update):
        z = z + update
        for block in self.blocks:
            z = block(z, self.rope)
        return z

    def forward(self, z_h, z_l, x):
        for _ in range(self.m["outer_cycles"]):
            for _ in range(self.m["inner_cycles"]):
                z_l = self.level(z_l, z_h + x)
            z_h = self.level(z_h, z_l)
        halting = F.linear(z_h[:, 0], self.q_head, self.q_bias)
        answer = F.linear(z_h[:, self.m["prefix"] :], self.lm_head).argmax(-1)
        return z_h, z_l, halting, answer


def inputs(m, batch, dtype, device):
    generator = torch.Generator().manual_seed(9)
    shape = (batch, m["positions"], m["hidden"])
    return [torch.randn(shape, generator=generator).to(device, dtype) for _ in range(3)]


def count_gflop(m):
    """Returns the GFLOP of a step for one puzzle, as PyTorch counts them."""
    net = Step(m, torch.float32, "meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(*inputs(m, 1, torch.float32, "meta"))
    return counter.get_total_flops() / 1e9


def check_work(m):
    """Exits with an error unless PyTorch counts as many operations in a step as our plan has."""
    found = count_gflop(m)
    if not math.isclose(found, m["gflop"], rel_tol=1e-9):
        sys.exit(
            f"{m['model']}: not the same work: PyTorch does {found} GFLOP per step, "
            f"our plan has {m['gflop']}"
        )
    return found


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(step, device, quick):
    """Returns the least and the median time of a step in ms, over runs of several steps each."""
    for _ in range(1 if quick else 5):
        step()
    wait(device)

    def run(steps):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        wait(device)
        return (time.perf_counter() - start) * 1e3 / steps

    steps = max(1, min(256, round((2 if quick else 50) / run(2))))
    times = [run(steps) for _ in range(3 if quick else 9)]
    return min(times), statistics.median(times)


def make_step(execution, net, state, device):
    """Returns a function that takes a step, beginning with the states of the last one."""
    z_h, z_l, x = state
    cuda = device.type == "cuda"
    if execution == "graph":
        net.level = torch.compile(net.level, dynamic=False, mode="max-autotune-no-cudagraphs")
        stream = torch.cuda.Stream(device)
        with torch.cuda.stream(stream):
            for _ in range(3):  # compiles and allocates
                net(z_h, z_l, x)
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            new_h, new_l, *_ = net(z_h, z_l, x)
            z_h.copy_(new_h)
            z_l.copy_(new_l)
        return graph.replay
    call = net
    if execution == "compile":
        # On a CPU autotuning has no alternatives to measure.
        call = torch.compile(
            net, dynamic=False, mode="max-autotune-no-cudagraphs" if cuda else None
        )

    def step():
        state[0], state[1], *_ = call(state[0], state[1], x)

    return step


def matmul_gflops(dtype, device):
    """Returns the GFLOP/s of a large square matrix product."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / measure(lambda: a @ b, device, False)[0] / 1e6


def parse_modes(text):
    """Parses a list of modes. Returns pairs of execution and dtype."""
    pairs = [tuple(mode.split("-")) for mode in text.split(",")]
    if not all(
        len(pair) == 2
        and pair[0] in ("eager", "compile", "graph")
        and pair[1] in ("bf16", "tf32", "f32")
        for pair in pairs
    ):
        raise argparse.ArgumentTypeError(
            f"{text!r}: a mode is eager, compile or graph, then -, then bf16, tf32 or f32"
        )
    return pairs


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("ours", type=Path, help="output of our bench")
    p.add_argument("--out", type=Path, help="file for the figures, as JSON")
    p.add_argument("--modes", type=parse_modes, default=MODES, help=f"[default: {MODES}]")
    p.add_argument("--cuda", type=int, default=0, help="number of the CUDA device [default: 0]")
    p.add_argument("--cpu", action="store_true", help="run on the CPU, to try the script")
    args = p.parse_args()
    if not args.cpu and not torch.cuda.is_available():
        print("skipped: no CUDA device", file=sys.stderr)
        sys.exit(3)
    ours = json.loads(args.ours.read_text())
    device = torch.device("cpu") if args.cpu else torch.device("cuda", args.cuda)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    name = (
        platform.processor() or platform.machine()
        if args.cpu
        else torch.cuda.get_device_name(device)
    )
    print(
        f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, on {name}"
        + (" (a CPU, to try the script)" if args.cpu else "")
    )
    for m in ours["models"]:
        print(f"{m['model']}: {check_work(m):.4f} GFLOP per puzzle and step, as in ours")
    rows, tops, failures = [], {}, []
    for execution, dtype_name in args.modes:
        mode = f"{execution}-{dtype_name}"
        if execution == "graph" and args.cpu:
            print(f"skipped: {mode}: CUDA graphs need CUDA")
            continue
        dtype = torch.bfloat16 if dtype_name == "bf16" else torch.float32
        torch.backends.cuda.matmul.allow_tf32 = dtype_name == "tf32"
        if dtype_name not in tops:
            tops[dtype_name] = matmul_gflops(dtype, device)
            print(
                f"a large matrix product in {dtype_name}: {tops[dtype_name]:.0f} GFLOP/s",
                flush=True,
            )
        for m in ours["models"]:
            batches = sorted({s["batch"] for s in ours["steps"] if s["model"] == m["model"]})
            for batch in batches:
                label = f"{m['model']} x {batch}, {mode}"
                try:
                    torch.compiler.reset()
                    with torch.inference_mode():
                        step = make_step(
                            execution,
                            Step(m, dtype, device),
                            inputs(m, batch, dtype, device),
                            device,
                        )
                        least, median = measure(step, device, ours["quick"])
                # A mode that this GPU or version does not support is reported, not fatal.
                except Exception as e:
                    reason = str(e).splitlines()[0][:200] if str(e) else ""
                    failures.append(f"{label}: {type(e).__name__}: {reason}")
                    print("failed:", failures[-1], flush=True)
                    continue
                gflops = m["gflop"] * batch / least * 1e3
                rows.append(
                    dict(
                        model=m["model"],
                        batch=batch,
                        mode=mode,
                        ms=least,
                        ms_median=median,
                        gflops=gflops,
                    )
                )
                print(
                    f"{label}: {least:.3f} ms, median {median:.3f}, {gflops:.0f} GFLOP/s",
                    flush=True,
                )
    if args.out:
        found = dict(
            torch=torch.__version__,
            cuda=torch.version.cuda,
            device=name,
            on_cpu=args.cpu,
            ceilings=tops,
            steps=rows,
            failures=failures,
        )
        args.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
