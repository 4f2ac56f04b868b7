#!/usr/bin/env bash
# Trains the model that comes with nephos, from the repository's root:
#
#   bash weights/train.sh [DATA [OUT [STEPS [INIT]]]]
#
# DATA is the folder with the real images (../shared/data), OUT that of the training
# (out/train). Finished steps are skipped, and a training that was stopped
# resumes from its last checkpoint, so the same command is run again until it ends with the
# path of the weights. The same command gives the same weights on the same machine.
#
#   1. a Python environment with the teacher, and its probabilities of the real images (20 min)
#   2. simulated scenes, and simulated sky over real ground (10 min)
#   3. STEPS steps (36000) on the mixture of weights/training-data.toml, from INIT (none:
#      from scratch); validated on the Landsat 8 Biome patches, which are not in it
#   4. 400 steps with these patches
#
# With FOLD=K (1 to 6) the last step leaves out the patches of that fold, to be scored.
set -euo pipefail
cd "$(dirname "$0")/.."
data="${1:-../shared/data}" out="${2:-out/train}" steps="${3:-36000}" init="${4:-}"
cargo build --release --bin nephos
nephos="${CARGO_TARGET_DIR:-target}/release/nephos"
mkdir -p "$out"

# 1. The teacher. FOLDER OPTIONS...
teach() {
  local folder="$1"
  shift
  [ -e "$out/teacher/$folder.done" ] && return
  if [ ! -x "$out/python/bin/python" ]; then
    python3 -m venv "$out/python"
    "$out/python/bin/pip" install --quiet -r weights/teacher-requirements.txt
  fi
  "$out/python/bin/python" weights/teacher.py predict "$data/$folder" --out "$out/teacher" "$@"
  touch "$out/teacher/$folder.done"
}
teach l8biome --metres 30
teach landsat8_38cloud --metres 30
teach sentinel2_painted_shadow --level l2a --metres 30
teach sentinel2_l1c_unlabelled --metres 10

# 2. Simulated scenes. METRES SAMPLES OPTIONS...
simulate() {
  local metres="$1" samples="$2"
  shift 2
  [ -e "$out/sim$metres/train_split.pkl" ] || "$nephos" simulate --out "$out/sim$metres" \
    --train "$samples" --val 0 --test 0 --size 192 --pixel-size "$metres" --seed "3$metres" \
    --realistic --hard 0.4 "$@"
}
simulate 10 1000
simulate 20 1200
simulate 30 1800
simulate 45 1500 --eight-bit 0.8
simulate 60 800
hard() {
  [ -e "$out/hard$1/train_split.pkl" ] || "$nephos" simulate --out "$out/hard$1" \
    --train "$2" --val 0 --test 0 --size 192 --pixel-size "$1" --hard 0.6 --seed "2$1"
}
hard 10 900
hard 20 1200
hard 30 1200
hard 60 500

# The catalogue's scenes that are trained on, by links, and those with snow apart.
ground="$out/catalogue" snow="$out/snow"
if [ ! -e "$ground.done" ]; then
  mkdir -p "$ground"/{image,label} "$snow"/{image,label}
  held="$(sed 's/ *#.*//' weights/held-out/sentinel2_cloud_catalogue.txt)"
  snowy="$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "snow/ice") column = i }
    NR > 1 && $column == 1 { print $1 }' "$data/sentinel2_cloud_catalogue/tags.csv")"
  for image in "$data"/sentinel2_cloud_catalogue/image/*.tif; do
    name="$(basename "$image" .tif)"
    grep -qxF "$name" <<< "$held" && continue
    label="$data/sentinel2_cloud_catalogue/label/$name.tif"
    ln -sf "$(realpath "$image")" "$ground/image/"
    ln -sf "$(realpath "$label")" "$ground/label/"
    grep -qxF "$name" <<< "$snowy" || continue
    ln -sf "$(realpath "$image")" "$snow/image/"
    ln -sf "$(realpath "$label")" "$snow/label/"
  done
  touch "$ground.done"
fi
# Real ground: OUT FOLDER SAMPLES METRES SEED
over() {
  [ -e "$out/$1.done" ] || "$nephos" simulate --out "$out/$1" --ground "$2" --train "$3" \
    --val 0 --test 0 --pixel-size "$4" --seed "$5" --overwrite
  touch "$out/$1.done"
}
over over-catalogue "$ground" 400 45 91
over over-clear "$data/sentinel2_l1c_clear" 300 10 92

cat configs/tiny.toml weights/training-data.toml | sed "s#@DATA@#$data#; s#@OUT@#$out#" \
  > "$out/training.toml"

# FOLDER START OPTIONS...
train() {
  local folder="$out/$1" begin=()
  if [ -e "$out/$1/checkpoint.safetensors" ]; then
    begin=(--resume)
  elif [ -n "$2" ]; then
    begin=(--init "$2")
  fi
  shift 2
  [ -e "$folder/done" ] && return
  "$nephos" train --config "$out/training.toml" --out "$folder" --checkpoint-every 100 \
    --set train.batch_size=8 --set train.ema=0.998 --set train.optimizer.lr=1.2e-3 \
    --set data.augment.band_dropout=0.7 --set data.sampling.difficulty=0.2 \
    --set 'data.augment.zoom=[0.5,2.5]' --set 'data.augment.pixel_sizes=[10,60]' \
    --set data.augment.paste.probability=0.2 --set data.assume_reflectance=true "$@" "${begin[@]}"
  touch "$folder/done"
}

# 3. The mixture: epochs of 500 steps.
train main "$init" --set "data.train=$out/over-clear/train" --set data.pixel_size=10 \
  --set "data.val=$data/l8biome" --set data.sampling.epoch=4000 \
  --set "train.epochs=$(((steps + 499) / 500))"

# 4. The Landsat 8 Biome patches: three in ten samples.
last="${FOLD:+fold-$FOLD}"
last="${last:-final}"
if [ -n "${FOLD:-}" ]; then
  awk -F, -v fold="$FOLD" 'NR > 1 && $2 == fold { print $1 }' \
    weights/held-out/l8biome-folds.csv > "$out/fold-$FOLD.txt"
  test -s "$out/fold-$FOLD.txt"
fi
train "$last" "$out/main/last.nephos" --set "data.train=$data/l8biome" \
  --set data.share=0.3 --set data.pixel_size=30 --set "data.teacher=$out/teacher/l8biome/agreed" \
  ${FOLD:+--set "data.without=$out/fold-$FOLD.txt"} \
  --set data.sampling.epoch=3200 --set train.epochs=1 --set train.optimizer.lr=4e-4 \
  --set train.ema=0.99
echo "$out/$last/last.nephos"
