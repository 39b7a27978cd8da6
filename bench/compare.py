"""Our steps and PyTorch's, in alternation: python3 bench/compare.py --cllm4rec build/release/cllm4rec --rounds 3

Each round runs one step in our program, then the same step in peer_torch.py, before it goes on to the next step: a shared machine
changes from minute to minute, and only neighbours are compared. --model smollm2 times a pass through the backbone alone, which
--backbone gives (tools/get-backbone), beside peer_llama.py. Printed: for each step the median over the rounds of our time,
PyTorch's time, their ratio, and our share of the floor that the peak measured around our run allows. Needs what peer_torch.py needs.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SHAPES = json.loads((HERE / "shapes.json").read_text())


def output_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}")
    return done.stdout


def make_backbone(program, model, folder):
    shape = SHAPES[model]
    output_of([program, "backbone", "init", "-o", folder, "--layers", str(shape["layers"]), "--heads", str(shape["heads"]), "--width",
               str(shape["d"]), "--vocab", str(shape["vocab"]), "--context", str(shape["context"]), "--quiet"])


def ours(arg, backbone, step):
    report = json.loads(output_of([arg.cllm4rec, "bench", "--backbone", backbone, "--dtype", arg.dtype, "--step", step, "--threads",
                                   str(arg.threads), "--json", "--quiet"]))
    return (report["steps"] + report["ragged"])[0]


def peers(arg, step):
    script = ["peer_llama.py"] if arg.model == "smollm2" else ["peer_torch.py", "--model", arg.model]
    dtype = "f32" if arg.dtype == "q8_0" else arg.dtype  # PyTorch has nothing like it
    lines = output_of([sys.executable, str(HERE / script[0]), *script[1:], "--steps", step, "--variants", arg.variants,
                       "--dtype", dtype, "--threads", str(arg.threads), "--repeat", str(arg.repeat), "--json"]).splitlines()
    return {row["variant"]: row["median"] for row in map(json.loads, lines)}


def main():
    arg = argparse.ArgumentParser(description="our steps beside PyTorch's")
    arg.add_argument("--cllm4rec", required=True, help="the program")
    arg.add_argument("--model", choices=[m for m in SHAPES if m != "about"], default="gpt2")
    arg.add_argument("--backbone", help="a backbone of that model; without it one of its shape is made")
    arg.add_argument("--steps", help="all of the model's")
    arg.add_argument("--variants", help="of the peer; all of them, but transformers with peer_torch.py")
    arg.add_argument("--dtype", choices=["f32", "bf16", "q8_0"], default="f32", help="q8_0: smollm2 only, beside PyTorch's f32")
    arg.add_argument("--threads", type=int, default=2)
    arg.add_argument("--rounds", type=int, default=3)
    arg.add_argument("--repeat", type=int, default=3, help="runs of PyTorch's step in a round")
    arg = arg.parse_args()
    smollm2 = arg.model == "smollm2"
    if smollm2 and not arg.backbone:
        sys.exit("--model smollm2 needs --backbone FILE: tools/get-backbone smollm2 DIR")
    arg.steps = arg.steps or ",".join(SHAPES[arg.model]["steps"])
    arg.variants = arg.variants or ("all,groups" if smollm2 else "padded,packed")
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        backbone = arg.backbone or str(Path(folder) / "backbone")
        if not arg.backbone:
            make_backbone(arg.cllm4rec, arg.model, backbone)
        for r in range(arg.rounds):
            for step in arg.steps.split(","):
                mine, theirs = ours(arg, backbone, step), peers(arg, step)
                seen.setdefault(step, []).append((mine, theirs))
                ratios = ", ".join(f"{variant} {seconds:.4f} s ({seconds / mine['seconds']:.2f}x)" for variant, seconds in theirs.items())
                print(f"round {r + 1} {step:8} {arg.dtype}: ours {mine['seconds']:.4f} s, {100 * mine['share']:.1f} % of the floor at "
                      f"{mine['peak_gflops']:.0f} GFLOP/s; PyTorch {ratios}", file=sys.stderr, flush=True)
    print("| step | dtype | peak, GFLOP/s | ours, s | share of floor | " + " | ".join(f"PyTorch {v}, s | ratio" for v in arg.variants.split(",")) + " |")
    print("|---|---|---|---|---|" + "---|---|" * len(arg.variants.split(",")))
    for step, rounds in seen.items():
        median = lambda f: statistics.median(f(mine, theirs) for mine, theirs in rounds)
        row = [step, arg.dtype, f"{median(lambda m, t: m['peak_gflops']):.0f}", f"{median(lambda m, t: m['seconds']):.4f}",
               f"{100 * median(lambda m, t: m['share']):.0f} %"]
        for variant in arg.variants.split(","):
            if variant not in rounds[0][1]:
                row += ["same as padded", ""]
                continue
            row += [f"{median(lambda m, t: t[variant]):.4f}", f"{median(lambda m, t: t[variant] / m['seconds']):.2f}"]
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
