#!/usr/bin/env bash
# Trains the model that comes with nephos, from the repository's root:
#
#   bash weights/train-tiny.sh ../shared/data/l8biome
#
# simulates the samples into out/tiny, trains configs/tiny.toml with the samples of
# weights/tiny-data.toml: on the simulated ones alone, then with
# the Landsat 8 Biome patches in the folder given, and leaves the weights in
# out/tiny/run/last.nephos. What was stopped goes on. The same command gives the same
# weights on the same machine.
set -euo pipefail
cd "$(dirname "$0")/.."
patches="${1:?the folder with image/NAME.tif and label/NAME.tif}"
cargo build --release --bin nephos
nephos="${CARGO_TARGET_DIR:-target}/release/nephos"
sim=out/tiny/sim

# METRES SAMPLES
simulate() {
  [ -e "$sim$1/train_split.pkl" ] || "$nephos" simulate --out "$sim$1" --train "$2" \
    --val 0 --test 0 --size 192 --pixel-size "$1" --seed "2$1" --hard 0.6
}
simulate 10 1100
simulate 20 1600
simulate 30 2300
simulate 60 1000

mkdir -p out/tiny
cat configs/tiny.toml weights/tiny-data.toml > out/tiny/tiny.toml

# FOLDER OPTIONS...
train() {
  local folder="out/tiny/$1" resume=()
  shift
  [ -e "$folder/checkpoint.safetensors" ] && resume=(--resume)
  "$nephos" train --config out/tiny/tiny.toml --out "$folder" --checkpoint-every 250 \
    "$@" "${resume[@]}"
}
# 12,000 steps on simulated samples, whose shadows are all known.
train simulated --set "data.train=${sim}30/train_split.pkl" \
  --set "data.mix=[{train='${sim}10/train_split.pkl',share=0.18},{train='${sim}20/train_split.pkl',share=0.25},{train='${sim}60/train_split.pkl',share=0.2}]" \
  --set 'data.labels.drawn={}' --set data.sampling.epoch=4000 --set train.epochs=12
# 400 steps, two in five samples real. The temperature is what suits the folds of the
# cross-validation in docs/comparing.md; no weight depends on it.
train run --init out/tiny/simulated/last.nephos --set "data.train=$patches" \
  --set data.sampling.epoch=1600 --set train.epochs=1 --set train.optimizer.lr=5e-4 \
  --set train.ema=0.99 --set calibration.temperature=1.55
echo "out/tiny/run/last.nephos"
