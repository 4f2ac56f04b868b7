#!/usr/bin/env bash
# Trains the model that comes with nephos, from the repository's root:
#
#   bash weights/train-tiny.sh ../shared/data/l8biome
#
# simulates the samples into out/tiny, trains configs/tiny.toml with the Landsat 8 Biome
# patches in the folder given, and leaves the weights in out/tiny/run/last.nephos. A run
# that was stopped goes on. The same command gives the same weights on the same machine.
set -euo pipefail
cd "$(dirname "$0")/.."
patches="${1:?the folder with image/NAME.tif and label/NAME.tif}"
cargo build --release --bin nephos
nephos="${CARGO_TARGET_DIR:-target}/release/nephos"

# NAME SAMPLES METRES SEED HARD
simulate() {
  [ -e "out/tiny/$1/train_split.pkl" ] || "$nephos" simulate --out "out/tiny/$1" \
    --train "$2" --val 0 --test 0 --size 192 --pixel-size "$3" --seed "$4" --hard "$5"
}
for metres in 10 20 30 60; do simulate "sim$metres" 500 "$metres" "$metres" 0; done
for metres in 15 30; do simulate "hard$metres" 400 "$metres" "1$metres" 1; done

resume=()
[ -e out/tiny/run/checkpoint.safetensors ] && resume=(--resume)
"$nephos" train --config configs/tiny.toml --set "data.train=$patches" \
  --out out/tiny/run --checkpoint-every 250 "${resume[@]}"
echo "out/tiny/run/last.nephos"
