#!/usr/bin/env python3
"""Times a refinement step in all runtimes and prints the table: run by ./run, which tells the options.

For each model and batch all runtimes are loaded, each a process of its own, and their first step is compared with PyTorch's. Then they take
turns, in rounds, so that what else the machine does hits all alike; the least time of a runtime counts. Between turns they sleep.
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
# name -> Python packages that it needs; None: a program in Rust
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
# Root mean square of the difference of the states over that of the states after one step, at most. Unrelated states are 1.4 apart.
BOUNDS = {"f32": 1e-4, "bf16": 0.1, "int8": 0.2}
TURN = 0.5


class Process:
    """A worker: loaded when it has compared its first step."""

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
        """The next line of JSON; an error with what the process said last."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        raise RuntimeError(said[-1][:200] if said else f"exit status {self.process.returncode}")

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


def cell(a, peers, model, batch, seconds, ceiling):
    """Rounds over all runtimes that agree with PyTorch. Gives a list of figures, and adds failures to them."""
    found, running = [], {}
    for peer in peers:
        process = Process(a, peer, model, batch)
        try:
            differs = process.answer()
            bound = BOUNDS[peer.split("-")[1]]
            if differs["rms"] > bound:
                raise RuntimeError(
                    f"its states are {differs['rms']:.1e} from PyTorch's, the bound is {bound}: not timed"
                )
            running[peer] = process
            found.append(
                dict(model=model, batch=batch, peer=peer, differs=differs, ms=[], peak_mb=0.0)
            )
        except RuntimeError as e:
            process.end()
            print(f"failed: {model} x {batch}, {peer}: {e}", flush=True)
            found.append(dict(model=model, batch=batch, peer=peer, failed=str(e)))
    timed = [f for f in found if f["peer"] in running]
    start, rounds = time.monotonic(), 0
    while timed and (rounds == 0 or time.monotonic() - start < seconds):
        ceiling.turn()
        for f in (
            timed[rounds % len(timed) :] + timed[: rounds % len(timed)]
        ):  # nobody always comes after the same one
            time.sleep(0.02)
            try:
                said = running[f["peer"]].turn(TURN)
            except RuntimeError as e:
                f["failed"] = str(e)
                continue
            f["ms"].append(said["ms"])
            f["peak_mb"] = said["peak_mb"]
        timed = [f for f in timed if "failed" not in f]
        rounds += 1
    for process in running.values():
        process.end()
    for f in timed:
        print(
            f"{model} x {batch}, {f['peer']}: {min(map(min, f['ms'])):.2f} ms, least of {rounds} rounds",
            flush=True,
        )
    return found


class Ceiling:
    """The most that the loops in registers reached, over all rounds."""

    def __init__(self, a):
        self.best, self.process = {"f32": None, "int8": None}, Process(a, "ceiling", "A", 1)

    def turn(self):
        for name, rate in self.process.turn(0.2).items():
            self.best[name] = max(filter(None, (rate, self.best[name])), default=None)


def cold(a, peers, times=5):
    """A, batch 1: from the start of a process to the end of its first step, in turns, the least; and its peak memory."""
    found = {}
    blank = a.out / "blank.txt"
    blank.write_text("0" * 81 + "\n")
    for _ in range(times):
        for peer in peers:
            process = Process(a, peer, "A", 1, "cold")
            try:
                said = process.answer()
                said["cold_ms"] = (time.perf_counter() - process.start) * 1e3
            except RuntimeError:
                continue  # told when it was timed
            finally:
                process.end()
            found[peer] = min(found.get(peer, said), said, key=lambda f: f["cold_ms"])
        took, done = program(
            a, "--model", str(a.out / "A"), "--device", "cpu", "--max-steps", "1", str(blank)
        )
        if done.returncode in (0, 1):  # 1: a model with random weights solves nothing
            found["trm-run"] = min(
                found.get("trm-run", {"cold_ms": took}),
                {"cold_ms": took},
                key=lambda f: f["cold_ms"],
            )
        else:
            print("failed: trm-run:", done.stderr.strip()[:200])
    return found


def program(a, *words):
    start = time.perf_counter()
    done = subprocess.run(
        [str(a.program), *words, "--threads", str(a.threads)], capture_output=True, text=True
    )
    return (time.perf_counter() - start) * 1e3, done


def benched(a, model, batch):
    """What the program itself says of its speed and memory."""
    done = program(
        a, "bench", str(a.out / model), "--device", "cpu", "--batch", str(batch), "--json"
    )[1]
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    work = models.gflop(model, 1)
    if said and abs(said["gflop_per_step"] - work) > 1e-5 * work:
        sys.exit(
            f"{model}: not the same work: {said['gflop_per_step']} GFLOP in our plan, {work} in PyTorch"
        )
    return said


def available(a):
    """The peers that can run here; of the others it is said why not."""
    chosen = []
    for peer, packages in PEERS.items():
        if a.peers and not any(peer.startswith(name) for name in a.peers.split(",")):
            continue
        needs = (
            (packages or [])
            + ["onnx", "onnxruntime"] * (peer == "rten-int8")
            + ["onnx"] * bool(re.match("ort|openvino|tract|rten", peer))
        )
        gone = sorted({p for p in needs if version(p) is None})
        if gone:
            print(f"skipped: {peer}: not installed: {', '.join(gone)}")
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
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    said = {
        key: (re.search(rf"^{key}\s*: (.*)$", text, re.M) or [None, None])[1]
        for key in ("model name", "cpu family", "model", "flags")
    }
    if not said["model name"]:
        return platform.processor() or platform.machine()
    has = [
        flag
        for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8")
        if flag in said["flags"].split()
    ]
    return f"{said['model name']} (family {said['cpu family']}, model {said['model']}; {', '.join(has)}), {os.cpu_count()} CPUs"


class Others:
    """CPUs that other processes (and, in a virtual machine, other machines) kept busy on average."""

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
        p.error(f"--models: of {', '.join(models.MODELS)}")
    peers = available(a)
    for model in dict.fromkeys(m for m, _ in cells):
        models.write(a.out / model, model, [b for m, b in cells if m == model])
    others, ceiling, results, bench = Others(), Ceiling(a), [], []
    for model, batch in cells:
        results += cell(a, peers, model, batch, a.minutes * 60 / len(cells), ceiling)
        bench.append(dict(benched(a, model, batch), model=model, batch=batch))
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
