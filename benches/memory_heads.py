#!/usr/bin/env python3
"""Heads on features larger than a memory allowance: `train-head` with and without `--memory`, in turn.

    cargo build --release --workspace --bins --examples
    python benches/memory_heads.py [--memory 512M] [--rows 500000] [--features 1024] [--format arrow] [--case adam ...]

Writes a cache of made-up features (2 GB unless told otherwise; --work keeps it), trains each case --rounds times both ways, and prints
seconds (the best of the rounds) and the largest resident set, with the anonymous and the file-backed part at that moment. Fails if the
weights differ, if --memory takes more than --most times as long, or if it does not keep the resident set below the allowance and
--overhead megabytes.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
POLL_SECONDS = 0.02
MEGABYTE = 1 << 20
CASES = {
    "adam": ["linear", "--epochs", "5", "--patience", "0"],
    "adam-standardise": ["linear", "--epochs", "5", "--patience", "0", "--normalise", "standardise"],
    "mlp": ["mlp", "--hidden", "128", "--epochs", "2", "--patience", "0"],
    "lbfgs": ["linear", "--solver", "lbfgs", "--c", "0.001,0.01,0.1"],
    "ridge": ["linear", "--solver", "ridge"],
}


def measure(command: list) -> tuple[float, dict[str, int]]:
    """Seconds of a program that is run to its end, and kB of its resident set when that was largest."""
    started = time.monotonic()
    process = subprocess.Popen([str(word) for word in command])
    status = Path(f"/proc/{process.pid}/status")
    largest = {"VmHWM": 0, "RssAnon": 0, "RssFile": 0}
    while process.poll() is None:
        found = {name: int(size) for name, size in re.findall(r"(VmHWM|RssAnon|RssFile):\s+(\d+) kB", status.read_text())}
        if found.get("RssAnon", 0) + found.get("RssFile", 0) > largest["RssAnon"] + largest["RssFile"]:
            largest.update(found)
        largest["VmHWM"] = max(largest["VmHWM"], found.get("VmHWM", 0))
        time.sleep(POLL_SECONDS)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed")
    return time.monotonic() - started, largest


def size(text: str) -> int:
    """Megabytes of a size such as 512M."""
    return int(text[:-1]) * {"M": 1, "G": 1024}[text[-1].upper()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target" / "release", help="default: %(default)s")
    parser.add_argument("--work", type=Path, help="keep the cache in this folder (default: a temporary one)")
    parser.add_argument("--memory", default="512M", help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=500_000, help="default: %(default)s")
    parser.add_argument("--features", type=int, default=1024, help="default: %(default)s")
    parser.add_argument("--classes", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--format", default="arrow", choices=["arrow", "parquet"])
    parser.add_argument("--rounds", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--most", type=float, default=1.5, help="times as long (default: %(default)s)")
    parser.add_argument("--overhead", type=float, default=128, help="megabytes beside the features (default: %(default)s)")
    parser.add_argument("--case", action="append", choices=CASES)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        cache = work / f"cache-{options.rows}-{options.features}-{options.classes}-{options.format}"
        if not cache.exists():
            maker = options.bin_dir / "examples" / "synthetic_cache"
            words = [maker, cache, options.rows, options.features, options.classes, options.format]
            subprocess.run([str(word) for word in words], check=True)
        print(f"{options.rows} x {options.features} features, {options.classes} classes, {options.format}", flush=True)
        for name in options.case or CASES:
            found = {}
            for _ in range(options.rounds):
                for way, extra in (("all", []), ("little", ["--memory", options.memory])):
                    command, *rest = CASES[name]
                    run = work / way
                    line = [options.bin_dir / "train-head", command, cache, "--out", run, "--overwrite", "--quiet", *rest, *extra]
                    seconds, peak = measure(line)
                    before = found.get(way, (seconds, peak))
                    found[way] = (min(seconds, before[0]), max(peak, before[1], key=lambda sizes: sizes["VmHWM"]))
            same = (work / "all" / "head.safetensors").read_bytes() == (work / "little" / "head.safetensors").read_bytes()
            ratio = found["little"][0] / found["all"][0]
            within = found["little"][1]["VmHWM"] * 1024 / MEGABYTE <= size(options.memory) + options.overhead
            failed += not (same and within and ratio <= options.most)
            for way, label in (("all", "without"), ("little", f"--memory {options.memory}")):
                seconds, peak = found[way]
                sizes = {part: kilobytes * 1024 / 1e6 for part, kilobytes in peak.items()}
                print(
                    f"{name:17} {label:14} {seconds:7.1f} s   peak {sizes['VmHWM']:6.0f} MB"
                    f" (anonymous {sizes['RssAnon']:6.0f}, file {sizes['RssFile']:6.0f})"
                )
            print(f"{name:17} {ratio:.2f} times as long, {'the same' if same else 'OTHER'} weights", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
