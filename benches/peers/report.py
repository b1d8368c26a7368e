"""Formats the figures of compare.py as Markdown. Run it alone with: report.py FIGURES.json"""

import json
import sys
from pathlib import Path


def markdown(f):
    cells = list(f["work"])
    rows = {}
    for r in f["results"]:
        rows.setdefault(r["peer"], {})[f"{r['model']}{r['batch']}"] = r
    least = {
        (peer, c): min(map(min, r["ms"]))
        for peer, of in rows.items()
        for c, r in of.items()
        if r.get("ms")
    }
    lines = [
        "| runtime | "
        + " | ".join(f"{c[0]} x {c[1:]}" for c in cells)
        + " | difference from PyTorch's states | cold start, ms | peak memory, MB |",
        "|---" + "|---:" * (len(cells) + 3) + "|",
    ]
    for dtype in dict.fromkeys(peer.split("-")[1] for peer in rows):
        top = f["ceiling"].get(dtype)
        peers = [peer for peer in rows if peer.split("-")[1] == dtype]
        for peer in peers:
            text = [time_text(least.get((peer, c)), f["work"][c], top) for c in cells]
            lines.append(
                row(
                    peer, text, state_difference(rows[peer]), *cold_start_texts(f["cold"].get(peer))
                )
            )
        other_peers = [peer for peer in peers if not peer.startswith("ours")]
        if f"ours-{dtype}" in peers and other_peers:
            text = []
            for c in cells:
                mine, best = (
                    least.get((f"ours-{dtype}", c)),
                    min((least[p, c] for p in other_peers if (p, c) in least), default=None),
                )
                text.append(f"{mine / best:.2f}" if mine and best else "-")
            lines.append(row(f"*ours / best peer, {dtype}*", text, "", "", ""))
        if top:
            lines.append(
                row(
                    f"*at the ceiling, {dtype}*",
                    [f"{f['work'][c] / top * 1e3:.4g}" for c in cells],
                    "",
                    "",
                    "",
                )
            )
    if "trm-run" in f["cold"]:
        memory = next(
            (
                f"{b['rss_mb']:.0f}"
                for b in f["bench"]
                if (b["model"], b["batch"]) == ("A", 1) and b.get("rss_mb")
            ),
            "-",
        )
        lines.append(
            row(
                "program `trm-run`",
                [f"{b['step_ms_min']:.4g}" if "step_ms_min" in b else "-" for b in f["bench"]],
                "",
                f"{f['cold']['trm-run']['cold_ms']:.0f}",
                memory,
            )
        )
    rounds = {
        c: max(
            (len(r["ms"]) for of in rows.values() for x, r in of.items() if x == c and "ms" in r),
            default=0,
        )
        for c in cells
    }
    others = (
        ""
        if f["others"] is None
        else f" Other processes kept {f['others']:.1f} CPUs busy on average."
    )
    ceilings = (
        ", ".join(f"{name} {rate:.0f}" for name, rate in f["ceiling"].items() if rate)
        or "none measured"
    )
    lines += [
        "",
        f"- {f['date']}, {f['cpu']}; {f['threads']} threads.{others}",
        "- " + ", ".join(f"{name} {number}" for name, number in f["versions"].items()),
        f"- Ceilings on {f['threads']} threads, GOP/s: {ceilings}.",
        "- Least ms of a step (GFLOP/s, share of the ceiling), rounds: "
        + ", ".join(f"{c[0]} x {c[1:]} {n}" for c, n in rounds.items())
        + ".",
    ]
    failed = [
        f"- failed: {r['model']} x {r['batch']}, {r['peer']}: {r['failed']}"
        for r in f["results"]
        if "failed" in r
    ]
    return "\n".join(lines + failed)


def time_text(ms, work, top):
    if ms is None:
        return "-"
    rate = work / ms * 1e3
    return f"{ms:.4g} ({rate:.0f}{f', {100 * rate / top:.0f} %' if top else ''})"


def state_difference(of):
    worst = max((r["differs"]["rms"] for r in of.values() if "differs" in r), default=None)
    return "-" if worst is None else f"{worst:.0e}"


def cold_start_texts(cold):
    return (f"{cold['cold_ms']:.0f}", f"{cold['peak_mb']:.0f}") if cold else ("-", "-")


def row(name, cells, *more):
    return "| " + " | ".join([name, *cells, *more]) + " |"


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text())))
