# bash train.sh pattern ...: trains the runs of each pattern from the snapshot, under the lock, rows into /work/nb08/data
cd /work/notes/nb08/snap; export PYTHONPATH=/work/notes/nb08/snap OMP_NUM_THREADS=1 COURSE_DATA=/work/nb08/data
for run in "$@"; do
  flock /work/notes/train.lock timeout 900 /work/main/.venv/bin/python -m benchmarks.scoreboard --only "$run"
  date
done
echo ALLDONE
