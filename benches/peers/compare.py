#!/usr/bin/env python3
"""Times a refinement step in all runtimes and prints the table. ./run lists the options.

For each model and batch, each runtime loads the model in its own process. Its first step is
compared with PyTorch's. Then the runtimes take turns in rounds, so that other load on the machine
affects all of them. The least time of a runtime counts. Between turns the processes sleep.
"""

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import models
import report

HERE = Path(__file__).resolve().parent
# The Python packages that each peer needs. None: the peer is built into a Rust program.
PEERS = {
    "ours-f32": None,
    "torch-f32": ["torch"],
    "ort-f32": ["onnxruntime"],
    "openvino-f32": ["openvino"],
    "tract-f32": None,
    "rten-f32": None,
    "rten-f32-plain": None,
    "candle-f32": None,
    "ours-bf16": None,
    "torch-bf16": ["torch"],
    "openvino-bf16": ["openvino"],
    "ours-int8": None,
    "ort-int8": ["onnxruntime"],
    "openvino-int8": ["openvino", "nncf"],
    "rten-int8": None,
}
# Largest relative difference of the states from PyTorch's after one step, as a ratio of root mean
# squares. Unrelated states differ by 1.4.
BOUNDS = {"f32": 1e-4, "bf16": 0.1, "int8": 0.2}
TURN_SECONDS = 0.5


class Process:
    """The process of a peer. Its first reply is the comparison of its first step."""

    def __init__(self, a, peer, model, batch, *cold):
        directory = a.out / model
        words = [str(directory), str(batch), str(a.threads), *cold]
        rust = a.ours if peer.startswith("ours") or peer == "ceiling" else a.rust
        python = [sys.executable, str(HERE / "worker.py")]
        self.errors = tempfile.TemporaryFile("w+")
        self.start = time.perf_counter()
        self.process = subprocess.Popen(
            [*(python if PEERS.get(peer) else [str(rust)]), peer, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment(a.threads),
        )

    def answer(self):
        """Returns the next line of JSON. Raises the last line of stderr if the process ends."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        reply = self.errors.read().strip().splitlines()
        raise RuntimeError(reply[-1][:200] if reply else f"exit status {self.process.returncode}")

    def turn(self, seconds):
        try:
            print(seconds, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        return self.answer()

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()
        self.errors.close()


def environment(threads):
    names = ("OMP", "MKL", "OPENBLAS", "RAYON", "RTEN")
    return dict(os.environ, **{f"{name}_NUM_THREADS": str(threads) for name in names})


def time_case(a, peers, model, batch, seconds, ceiling):
    """Times all runtimes that agree with PyTorch, in rounds. Returns their figures and failures."""
    figures, running = [], {}
    for peer in peers:
        process = Process(a, peer, model, batch)
        try:
            differs = process.answer()
            bound = BOUNDS[peer.split("-")[1]]
            if differs["rms"] > bound:
                raise RuntimeError(
                    f"not timed: its states differ from PyTorch's by {differs['rms']:.1e}, "
                    f"above the bound {bound}"
                )
            running[peer] = process
            figures.append(
                dict(model=model, batch=batch, peer=peer, differs=differs, ms=[], peak_mb=0.0)
            )
        except RuntimeError as e:
            process.end()
            print(f"failed: {model} x {batch}, {peer}: {e}", flush=True)
            figures.append(dict(model=model, batch=batch, peer=peer, failed=str(e)))
    timed = [f for f in figures if f["peer"] in running]
    start, rounds = time.monotonic(), 0
    while timed and (rounds == 0 or time.monotonic() - start < seconds):
        ceiling.turn()
        # Each round begins with another runtime.
        first = rounds % len(timed)
        for f in timed[first:] + timed[:first]:
            time.sleep(0.02)
            try:
                reply = running[f["peer"]].turn(TURN_SECONDS)
            except RuntimeError as e:
                f["failed"] = str(e)
                continue
            f["ms"].append(reply["ms"])
            f["peak_mb"] = reply["peak_mb"]
        timed = [f for f in timed if "failed" not in f]
        rounds += 1
    for process in running.values():
        process.end()
    for f in timed:
        print(
            f"{model} x {batch}, {f['peer']}: {min(map(min, f['ms'])):.2f} ms, "
            f"least of {rounds} rounds",
            flush=True,
        )
    return figures


class Ceiling:
    """The highest rates that the loops in registers reached, over all rounds."""

    def __init__(self, a):
        self.best, self.process = {"f32": None, "int8": None}, Process(a, "ceiling", "A", 1)

    def turn(self):
        for name, rate in self.process.turn(0.2).items():
            self.best[name] = max(filter(None, (rate, self.best[name])), default=None)


def cold(a, peers, times=5):
    """Returns the least cold start of each runtime with model A at batch 1, and its peak memory.

    A cold start lasts from the start of a process to the end of its first step.
    """
    least = {}
    blank = a.out / "blank.txt"
    blank.write_text("0" * 81 + "\n")
    for _ in range(times):
        for peer in peers:
            process = Process(a, peer, "A", 1, "cold")
            try:
                reply = process.answer()
                reply["cold_ms"] = (time.perf_counter() - process.start) * 1e3
            except RuntimeError:
                continue  # reported when it was timed
            finally:
                process.end()
            least[peer] = min(least.get(peer, reply), reply, key=lambda f: f["cold_ms"])
        elapsed_ms, done = program(
            a, "--model", str(a.out / "A"), "--device", "cpu", "--max-steps", "1", str(blank)
        )
        if done.returncode in (0, 1):  # 1: a model with random weights solves nothing
            least["trm-run"] = min(
                least.get("trm-run", {"cold_ms": elapsed_ms}),
                {"cold_ms": elapsed_ms},
                key=lambda f: f["cold_ms"],
            )
        else:
            print("failed: trm-run:", done.stderr.strip()[:200])
    return least


def program(a, *words):
    start = time.perf_counter()
    done = subprocess.run(
        [str(a.program), *words, "--threads", str(a.threads)], capture_output=True, text=True
    )
    return (time.perf_counter() - start) * 1e3, done


def run_bench(a, model, batch):
    """Returns the speed and memory that `trm-run bench` reports."""
    done = program(
        a, "bench", str(a.out / model), "--device", "cpu", "--batch", str(batch), "--json"
    )[1]
    reply = json.loads(done.stdout) if done.returncode == 0 else {}
    work = models.gflop(model, 1)
    if reply and abs(reply["gflop_per_step"] - work) > 1e-5 * work:
        sys.exit(
            f"{model}: not the same work: {reply['gflop_per_step']} GFLOP in our plan, "
            f"{work} in PyTorch"
        )
    return reply


def available(a):
    """Returns the peers that can run here, and prints why the others cannot."""
    chosen = []
    for peer, packages in PEERS.items():
        if a.peers and not any(peer.startswith(name) for name in a.peers.split(",")):
            continue
        needs = (
            (packages or [])
            + ["onnx", "onnxruntime"] * (peer == "rten-int8")
            + ["onnx"] * bool(re.match("ort|openvino|tract|rten", peer))
        )
        missing = sorted({p for p in needs if version(p) is None})
        if missing:
            print(f"skipped: {peer}: not installed: {', '.join(missing)}")
        elif packages is None and not peer.startswith("ours") and a.rust is None:
            print(f"skipped: {peer}: the program of the Rust peers is not built")
        else:
            chosen.append(peer)
    return chosen


def version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions():
    found = {
        p: version(p) for p in ("torch", "onnx", "onnxruntime", "openvino", "nncf") if version(p)
    }
    lock = HERE / "rust" / "Cargo.lock"
    text = lock.read_text() if lock.exists() else ""
    found |= dict(
        re.findall(r'name = "(tract-onnx|rten|candle-core|gemm)"\nversion = "([^"]+)"', text)
    )
    return found | {"python": platform.python_version()}


def processor():
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.exists() else ""
    info = {
        key: (re.search(rf"^{key}\s*: (.*)$", text, re.M) or [None, None])[1]
        for key in ("model name", "cpu family", "model", "flags")
    }
    if not info["model name"]:
        return platform.processor() or platform.machine()
    has = [
        flag
        for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8")
        if flag in info["flags"].split()
    ]
    return (
        f"{info['model name']} (family {info['cpu family']}, model {info['model']}; "
        f"{', '.join(has)}), {os.cpu_count()} CPUs"
    )


class OtherLoad:
    """Measures the CPUs that other processes keep busy, and other virtual machines on the host."""

    def __init__(self):
        self.start, self.before = time.monotonic(), self.busy()

    def busy(self):
        stat = Path("/proc/stat")
        if not stat.exists():
            return None
        user, nice, system, _, _, irq, soft, steal = map(
            int, stat.read_text().split("\n")[0].split()[1:9]
        )
        own = sum(
            u.ru_utime + u.ru_stime
            for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK") - own

    def average(self):
        if self.before is None:
            return None
        return max(0.0, (self.busy() - self.before) / (time.monotonic() - self.start))


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--program", type=Path, required=True, help="trm-run")
    p.add_argument(
        "--ours", type=Path, required=True, help="peer-timers with this repository's library"
    )
    p.add_argument("--rust", type=Path, help="peer-timers with the peers")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--minutes", type=float, default=10)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--models", default=",".join(models.MODELS))
    p.add_argument("--peers")
    a = p.parse_args()
    a.out = a.out.resolve()
    cells = [(m, b) for m, b in models.CELLS if m in a.models.split(",")]
    if not cells:
        p.error(f"--models {a.models}: no known model; use {', '.join(models.MODELS)}")
    peers = available(a)
    for model in dict.fromkeys(m for m, _ in cells):
        models.write(a.out / model, model, [b for m, b in cells if m == model])
    others, ceiling, results, bench = OtherLoad(), Ceiling(a), [], []
    for model, batch in cells:
        results += time_case(a, peers, model, batch, a.minutes * 60 / len(cells), ceiling)
        bench.append(dict(run_bench(a, model, batch), model=model, batch=batch))
    starts = cold(a, peers) if cells[0][0] == "A" else {}
    ceiling.process.end()
    figures = dict(
        date=f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        cpu=processor(),
        threads=a.threads,
        versions=versions(),
        others=others.average(),
        ceiling=ceiling.best,
        work={f"{m}{b}": models.gflop(m, b) for m, b in cells},
        results=results,
        cold=starts,
        bench=bench,
    )
    (a.out / "figures.json").write_text(json.dumps(figures, indent=1))
    text = report.markdown(figures)
    (a.out / "table.md").write_text(text + "\n")
    print("\n" + text + f"\n\nwritten: {a.out}/table.md, {a.out}/figures.json")


if __name__ == "__main__":
    main()
