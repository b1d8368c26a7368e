#!/usr/bin/env python3
"""Times refinement steps in PyTorch on a CUDA device: what the shaders are compared with.

    torch_step.py OURS.json [--out FILE] [--modes A,B] [--cuda N] [--cpu]

OURS.json is what `cargo bench --bench gpu -- --json` wrote: models, sizes and batches are taken from it, and that a step is the same
work is checked by counting the operations that PyTorch does. Weights are random. Modes are HOW-NUMBERS: eager, compile (the whole
step through torch.compile), graph (a compiled level; all passes captured in one CUDA graph); bf16, tf32 or f32.
Exit code 3: there is no PyTorch, or no CUDA device.
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
    print(f"skipped: no PyTorch ({e})", file=sys.stderr)
    sys.exit(3)

MODES = "eager-bf16,compile-bf16,graph-bf16"


def normed(x, eps):
    """RMSNorm over the last dimension, computed in f32."""
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def gated(x, gate_up, down):
    """SwiGLU: gate and up in one product."""
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, down)


class Block(torch.nn.Module):
    """Attention, or a SwiGLU across the positions; then a SwiGLU across the channels. The norms come after the sums."""

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

    def attended(self, x, turn):
        batch, positions, hidden = x.shape
        qkv = F.linear(x, self.qkv).view(batch, positions, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if turn is not None:
            q, k = turned(q, *turn), turned(k, *turn)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return F.linear(mixed.transpose(1, 2).reshape(batch, positions, hidden), self.o)

    def forward(self, x, turn):
        if self.mixes:
            y = x.transpose(1, 2)
            x = normed(y + gated(y, self.token_gate_up, self.token_down), self.eps).transpose(1, 2)
        else:
            x = normed(x + self.attended(x, turn), self.eps)
        return normed(x + gated(x, self.gate_up, self.down), self.eps)


def turned(x, cosines, sines):
    """The rotary embedding, in f32: element i of a head with element i + half."""
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cosines - b * sines, b * cosines + a * sines), dim=-1).to(x.dtype)


class Step(torch.nn.Module):
    """All passes of a refinement step, the halting head and the answer; the input is embedded already, as it is in ours."""

    def __init__(self, m, dtype, device):
        super().__init__()
        source = torch.Generator().manual_seed(12)

        def random(rows, columns):
            values = torch.randn(rows, columns, generator=source) / math.sqrt(columns)
            return torch.nn.Parameter(values.to(device, dtype), requires_grad=False)

        self.m = m
        self.blocks = torch.nn.ModuleList(Block(m, random) for _ in range(m["layers"]))
        self.lm_head, self.q_head = random(m["vocab"], m["hidden"]), random(2, m["hidden"])
        self.q_bias = torch.nn.Parameter(
            torch.zeros(2, device=device, dtype=dtype), requires_grad=False
        )
        self.turn = None
        if m["rope_theta"] and not m["token_inner"]:
            half = m["hidden"] // m["heads"] // 2
            speed = m["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
            angle = torch.arange(m["positions"], dtype=torch.float64)[:, None] * speed
            self.turn = [f(angle).float().to(device) for f in (torch.cos, torch.sin)]

    def level(self, z, added):
        z = z + added
        for block in self.blocks:
            z = block(z, self.turn)
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
    source = torch.Generator().manual_seed(9)
    shape = (batch, m["positions"], m["hidden"])
    return [torch.randn(shape, generator=source).to(device, dtype) for _ in range(3)]


def counted(m):
    """GFLOP of a step of one puzzle, as PyTorch counts them."""
    net = Step(m, torch.float32, "meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(*inputs(m, 1, torch.float32, "meta"))
    return counter.get_total_flops() / 1e9


def check_work(m):
    """An error unless PyTorch counts as many operations in a step as our plan has."""
    found = counted(m)
    if not math.isclose(found, m["gflop"], rel_tol=1e-9):
        sys.exit(
            f"{m['model']}: not the same work: PyTorch does {found} GFLOP a step, our plan has {m['gflop']}"
        )
    return found


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measured(step, device, quick):
    """Milliseconds of a step, the least and the median of several runs of several steps each."""
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


def prepared(how, net, state, device):
    """A function that takes a step from where the last one ended."""
    z_h, z_l, x = state
    cuda = device.type == "cuda"
    if how == "graph":
        net.level = torch.compile(net.level, dynamic=False, mode="max-autotune-no-cudagraphs")
        beside = torch.cuda.Stream(device)
        with torch.cuda.stream(beside):
            for _ in range(3):  # compiles and allocates
                net(z_h, z_l, x)
        torch.cuda.current_stream(device).wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            new_h, new_l, *_ = net(z_h, z_l, x)
            z_h.copy_(new_h)
            z_l.copy_(new_l)
        return graph.replay
    call = net
    if how == "compile":
        # On a CPU the choice by measuring has nothing to choose from.
        call = torch.compile(
            net, dynamic=False, mode="max-autotune-no-cudagraphs" if cuda else None
        )

    def step():
        state[0], state[1], *_ = call(state[0], state[1], x)

    return step


def ceiling(dtype, device):
    """GFLOP/s of a large square product."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / measured(lambda: a @ b, device, False)[0] / 1e6


def modes(text):
    """Pairs of how and numbers."""
    pairs = [tuple(mode.split("-")) for mode in text.split(",")]
    if not all(
        len(pair) == 2
        and pair[0] in ("eager", "compile", "graph")
        and pair[1] in ("bf16", "tf32", "f32")
        for pair in pairs
    ):
        raise argparse.ArgumentTypeError(
            f"{text!r}: a mode is one of eager, compile, graph, then -, then one of bf16, tf32, f32"
        )
    return pairs


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("ours", type=Path, help="what our bench wrote")
    p.add_argument("--out", type=Path, help="the figures as JSON")
    p.add_argument("--modes", type=modes, default=MODES, help=f"[default: {MODES}]")
    p.add_argument("--cuda", type=int, default=0, help="number of the CUDA device [default: 0]")
    p.add_argument("--cpu", action="store_true", help="runs on the CPU, to try the script")
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
        print(f"{m['model']}: {check_work(m):.4f} GFLOP a puzzle and step, as ours")
    rows, tops, failures = [], {}, []
    for how, numbers in args.modes:
        mode = f"{how}-{numbers}"
        if how == "graph" and args.cpu:
            print(f"skipped: {mode}: there are no CUDA graphs without CUDA")
            continue
        dtype = torch.bfloat16 if numbers == "bf16" else torch.float32
        torch.backends.cuda.matmul.allow_tf32 = numbers == "tf32"
        if numbers not in tops:
            tops[numbers] = ceiling(dtype, device)
            print(f"a large product in {numbers}: {tops[numbers]:.0f} GFLOP/s", flush=True)
        for m in ours["models"]:
            batches = sorted({s["batch"] for s in ours["steps"] if s["model"] == m["model"]})
            for batch in batches:
                label = f"{m['model']} x {batch}, {mode}"
                try:
                    torch.compiler.reset()
                    with torch.inference_mode():
                        step = prepared(
                            how, Step(m, dtype, device), inputs(m, batch, dtype, device), device
                        )
                        least, median = measured(step, device, ours["quick"])
                except (
                    Exception
                ) as e:  # what this card or version lacks is told, and the others are timed
                    failures.append(
                        f"{label}: {type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ''}"
                    )
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
