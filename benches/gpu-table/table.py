#!/usr/bin/env python3
"""Prints the figures of our bench, and of PyTorch if given, as Markdown.

table.py OURS.json [TORCH.json]
"""

import datetime
import json
import sys
from pathlib import Path


def main():
    ours = json.loads(Path(sys.argv[1]).read_text())
    torch = json.loads(Path(sys.argv[2]).read_text()) if len(sys.argv) > 2 else None
    lines = head(ours, torch) + [""] + steps(ours, torch)
    for model in ours["models"]:
        for batch in batches(ours, model):
            lines += [""] + breakdown(ours, torch, model, batch)
    for failure in ours["failures"] + (torch["failures"] if torch else []):
        lines += ["", f"failed: {failure}"]
    print("\n".join(lines))


def head(ours, torch):
    lines = [
        f"# Refinement steps on {ours['adapter']}",
        "",
        f"- {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"- trm {ours['trm']}: gpu:{ours['number']} {ours['adapter']} "
        f"({ours['backend']}, {ours['kind']}), driver {ours['driver']}",
        f"- our ceiling, f32: {number(ours['ceiling_gflops'])} GFLOP/s, {ours['ceiling_is']}",
    ]
    if torch is None:
        lines.append("- PyTorch: skipped")
    else:
        tops = ", ".join(f"{numbers} {number(top)}" for numbers, top in torch["ceilings"].items())
        lines.append(
            f"- PyTorch {torch['torch']}, CUDA {torch['cuda']}, on {torch['device']}; "
            f"a large matrix product there, GFLOP/s: {tops}"
        )
        if torch["device"] != ours["adapter"]:
            lines.append(
                f"- **the device names differ**: {ours['adapter']} and {torch['device']}; "
                "the ratios are only valid if both name the same device"
            )
    if ours["quick"]:
        lines.append("- `--quick`: tiny sizes; the figures only show that the script works")
    return lines


def steps(ours, torch):
    """Returns a table with a row for each model and batch: least (median) times in ms."""
    dtypes = ordered(s["format"] for s in ours["steps"])
    modes = ordered(s["mode"] for s in torch["steps"]) if torch else []
    titles = ["model", "GFLOP", "batch"] + [f"ours {f}" for f in dtypes] + ["fastest of ours"]
    titles += [f"PyTorch {m}" for m in modes] + (["ours / PyTorch compiled"] if torch else [])
    rows = []
    for model in ours["models"]:
        for batch in batches(ours, model):
            measured = [
                s for s in ours["steps"] if (s["model"], s["batch"]) == (model["model"], batch)
            ]
            by_dtype = {s["format"]: s for s in measured if s["kernels"] == default_selection(ours)}
            best = min(measured, key=lambda s: s["ms"])
            row = [model["model"], f"{model['gflop'] * batch:.4g}", str(batch)]
            row += [least_and_median(by_dtype.get(f)) for f in dtypes]
            row += [f"{best['ms']:.3f}, {best['kernels']} {best['format']}"]
            if torch:
                by_mode = {
                    s["mode"]: s
                    for s in torch["steps"]
                    if (s["model"], s["batch"]) == (model["model"], batch)
                }
                row += [least_and_median(by_mode.get(m)) for m in modes]
                fastest = compiled(torch, model, batch)
                least = min((s["ms"] for s in by_dtype.values()), default=None)
                row += [
                    f"{least / fastest['ms']:.2f}"
                    if fastest and least and not torch["on_cpu"]
                    else "-"
                ]
            rows.append(row)
    note = [
        "",
        "Time of a step for the whole batch in ms: least (median). `ours DTYPE` uses the kernel "
        f"selection `{default_selection(ours)}`. The next column is the fastest of all selections "
        "and dtypes.",
    ]
    if torch:
        note[1] += (
            " The ratio compares our fastest dtype with the fastest compiled mode; below 1, "
            "ours is faster."
        )
    return ["## Steps", ""] + table(titles, rows) + note


def breakdown(ours, torch, model, batch):
    """Returns a table of the calls of a step, with their share of its time."""
    measured = [
        s
        for s in ours["steps"]
        if (s["model"], s["batch"], s["kernels"])
        == (model["model"], batch, default_selection(ours))
    ]
    if not measured:
        return []
    step = min(measured, key=lambda s: s["ms"])
    top = ours["ceiling_gflops"] or float("nan")
    rows = []
    for call in model["calls"]:
        found = kernel(ours, model, batch, call, step["kernels"], step["format"])
        if not call["count"] or not found or not found["ms"]:
            continue
        each, work = found["ms"], call["gflop"] * batch
        fastest = min(
            (k for k in kernels(ours, model, batch, call) if k["ms"]), key=lambda k: k["ms"]
        )
        rows.append(
            [
                f"`{call['call']}`",
                str(call["count"]),
                f"{each:.4f}",
                f"{each * call['count']:.3f}",
                f"{100 * each * call['count'] / step['ms']:.1f} %",
                number(work / each * 1e3),
                f"{100 * work / each * 1e3 / top:.1f} %",
                f"{work * call['count'] / top * 1e3:.3f}",
                f"{fastest['kernels']} {fastest['format']} {fastest['ms']:.4f}",
            ]
        )
    total = model["gflop"] * batch

    def line(title, ms, at_top=""):
        share = f"{100 * ms / step['ms']:.1f} %"
        return [
            title,
            "",
            "",
            f"{ms:.3f}",
            share,
            number(total / ms * 1e3) if at_top else "",
            at_top and f"{100 * total / ms * 1e3 / top:.1f} %",
            at_top,
            "",
        ]

    if step["kernels_ms"] is not None:
        rows.append(line("sum of the kernels", step["kernels_ms"]))
        rows.append(line("the rest of the step", step["ms"] - step["kernels_ms"]))
    rows.append(line("**the step**", step["ms"], f"{total / top * 1e3:.3f}"))
    rows.append(line("an empty step", step["empty_ms"]))
    rows.append(line("the host, submitting a step", step["host_ms"]))
    fastest = compiled(torch, model, batch) if torch else None
    if fastest:
        rows.append(line(f"PyTorch {fastest['mode']}", fastest["ms"]))
        rows.append(line("difference from PyTorch", step["ms"] - fastest["ms"]))
    titles = [
        "call",
        "in a step",
        "ms each",
        "ms",
        "of the step",
        "GFLOP/s",
        "of the ceiling",
        "ms at the ceiling",
        "fastest implementation",
    ]
    return [f"## {model['model']}, batch {batch}, {step['kernels']} {step['format']}", ""] + table(
        titles, rows
    )


def default_selection(ours):
    """Returns the kernel selection that users get: `auto`, if it was measured."""
    selections = ordered(s["kernels"] for s in ours["steps"])
    return "auto" if "auto" in selections or not selections else selections[0]


def kernels(ours, model, batch, call):
    return [
        k
        for k in ours["kernels"]
        if (k["model"], k["batch"], k["call"]) == (model["model"], batch, call["call"])
    ]


def kernel(ours, model, batch, call, selection, dtype):
    """Returns the measurement of a call, or None.

    A kernel with a single implementation, or without weights, was measured once.
    """

    def fits(k):
        return k["kernels"] in (selection, "only", "tiled") and k["format"] in (dtype, "f32")

    def distance(k):
        return (k["kernels"] not in (selection, "only"), k["format"] != dtype)

    return min(filter(fits, kernels(ours, model, batch, call)), key=distance, default=None)


def compiled(torch, model, batch):
    """Returns the fastest compiled mode, or None."""
    return min(
        (
            s
            for s in torch["steps"]
            if (s["model"], s["batch"]) == (model["model"], batch)
            and not s["mode"].startswith("eager")
        ),
        key=lambda s: s["ms"],
        default=None,
    )


def batches(ours, model):
    return sorted({s["batch"] for s in ours["steps"] if s["model"] == model["model"]})


def ordered(names):
    return list(dict.fromkeys(names))


def least_and_median(s):
    return f"{s['ms']:.3f} ({s['ms_median']:.3f})" if s else "-"


def number(x):
    return "-" if x is None else f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def table(titles, rows):
    rule = ["---"] + ["---:"] * (len(titles) - 1)
    return ["| " + " | ".join(row) + " |" for row in [titles, rule] + rows]


if __name__ == "__main__":
    main()
