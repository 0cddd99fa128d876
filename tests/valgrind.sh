#!/usr/bin/env bash
# Runs the tests of the kernels (engine, trainer, JPEG decoding, resizing) under valgrind, which sees reads and writes outside of
# buffers and values that were never written. Needs valgrind; takes some minutes.
#   tests/valgrind.sh [FILTER…]
set -euo pipefail
cd "$(dirname "$0")/.."
filters=("$@")
[ ${#filters[@]} -gt 0 ] || filters=(engine::cpu::tests::layers engine::cpu::int8::tests::layers engine::cpu::int8::tests::products
    tail::cpu::tests::gradients::logits_are tail::cpu::tests::invariants::a_batch_in_parts image::jpeg image::resample)
binary=$(cargo test --workspace --lib --no-run --locked --message-format=json |
    python3 -c 'import json, sys
for line in sys.stdin:
    made = json.loads(line)
    if made.get("executable") and made["target"]["name"] == "common":
        print(made["executable"])')
# A few cases of each property: valgrind takes some fifty times as long.
PROPTEST_CASES="${PROPTEST_CASES:-8}" valgrind --error-exitcode=9 --quiet "$binary" --test-threads 2 "${filters[@]}"
