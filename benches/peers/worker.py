"""Runs a runtime that has a Python interface, with the protocol of rust/src/main.rs.

worker.py PEER MODEL_DIR BATCH THREADS [cold]
"""

import json
import re
import sys
import time
from pathlib import Path

OUTPUTS = ("out.z_h", "out.z_l", "out.halting", "out.answer")
STATES = ("z_h", "z_l", "x")


def torch_peer(peer, directory, batch, threads, case):
    import torch
    import models

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    dtype = torch.bfloat16 if peer.endswith("bf16") else torch.float32
    net = models.step(directory.name, dtype)
    args = [torch.from_numpy(case[n]).to(dtype) for n in STATES]

    def step():
        with torch.inference_mode():
            return net(*args)

    return step, lambda out: [(t.float() if t.is_floating_point() else t).numpy() for t in out]


def ort_peer(peer, directory, batch, threads, case):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    path = directory / f"step_b{batch}{'_int8' if peer.endswith('int8') else ''}.onnx"
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {n: case[n] for n in STATES}
    return lambda: session.run(list(OUTPUTS), feed), lambda out: out


def openvino_peer(peer, directory, batch, threads, case):
    """Returns a step of OpenVINO.

    bf16 is the dtype that OpenVINO chooses on a CPU with bf16. int8 is quantised by nncf,
    calibrated on the one case.
    """
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    settings["INFERENCE_PRECISION_HINT"] = "bf16" if peer.endswith("bf16") else "f32"
    feed = {n: case[n] for n in STATES}
    path = directory / f"step_b{batch}.onnx"
    if peer.endswith("int8"):
        quantised = directory / f"step_b{batch}_nncf.xml"
        if not quantised.exists():
            import nncf

            net = nncf.quantize(
                core.read_model(str(path)),
                nncf.Dataset([feed]),
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=1,
            )
            openvino.save_model(net, str(quantised), compress_to_fp16=False)
        path = quantised
    compiled = core.compile_model(str(path), "CPU", settings)
    used = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
    if peer.endswith("bf16") and "bf" not in used:
        raise SystemExit(f"OpenVINO computes in {used} here")
    request = compiled.create_infer_request()
    return lambda: request.infer(feed), lambda out: [out[compiled.output(n)] for n in OUTPUTS]


def compare(case, got):
    """Returns the difference from PyTorch, computed as in rust/src/case.rs."""
    import numpy

    for name, values in zip(OUTPUTS, got):
        if values.shape != case[name].shape:
            raise SystemExit(f"{name} has the shape {values.shape} instead of {case[name].shape}")
    wrong, size = (
        sum(float((v.astype(numpy.float64) ** 2).sum()) for v in of)
        for of in ([g - case[n] for n, g in zip(OUTPUTS[:2], got)], [case[n] for n in OUTPUTS[:2]])
    )
    rms = (wrong / size) ** 0.5
    return dict(
        rms=rms if rms < 1e30 else 1e30,
        halting=float(numpy.abs(got[2] - case[OUTPUTS[2]]).max()),
        answer=float((got[3] != case[OUTPUTS[3]]).mean()),
    )


def peak_mb():
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


def main():
    peer, directory, batch, threads, *cold = sys.argv[1:]
    directory, batch, threads = Path(directory), int(batch), int(threads)
    from safetensors.numpy import load_file

    make = {"torch": torch_peer, "ort": ort_peer, "openvino": openvino_peer}[peer.split("-")[0]]
    start = time.perf_counter()
    case = load_file(str(directory / f"case_b{batch}.safetensors"))
    step, arrays = make(peer, directory, batch, threads, case)
    load = (time.perf_counter() - start) * 1e3
    first = step()
    if cold:
        print(json.dumps(dict(load_ms=load, peak_mb=peak_mb())), flush=True)
        return
    print(json.dumps(compare(case, arrays(first))), flush=True)
    for line in sys.stdin:
        times, start = [], time.perf_counter()
        while not times or time.perf_counter() - start < float(line):
            at = time.perf_counter()
            step()
            times.append((time.perf_counter() - at) * 1e3)
        print(json.dumps(dict(ms=times, peak_mb=peak_mb())), flush=True)


if __name__ == "__main__":
    main()
