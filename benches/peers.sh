#!/usr/bin/env bash
# Installs the peers (pinned, from PyPI) into target/peers, builds the programs, and runs peers.py with the arguments given:
#   benches/peers.sh [--threads 2] [--rounds 5] [--write-readme] …
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
cargo build --release --workspace --bins --locked
python3 -m venv "$target/peers"
"$target/peers/bin/pip" install --quiet --requirement benches/requirements-peers.txt
exec "$target/peers/bin/python" benches/peers.py --bin-dir "$target/release" "$@"
