#!/bin/sh
# Sends one job with curl, follows it, and saves its picture: sh api/examples/one_picture.sh [URL], from the root folder.
set -eu
api=${1:-http://127.0.0.1:8000}
portraits=worker/mini/portraits

job=$(curl -sS --fail-with-body "$api/v1/jobs" -H "Idempotency-Key: one-picture-$$" \
    -F prompt="a man and a woman in the park" \
    -F phrase="the man" -F photo=@"$portraits/carl.png" \
    -F phrase="the woman" -F photo=@"$portraits/dora.png" |
    sed 's/.*"id": *"\([0-9a-f]*\)".*/\1/')
echo "job $job"

# A long poll returns when the job changes; `done` is true once it has ended.
until state=$(curl -sS --fail-with-body "$api/v1/jobs/$job?wait=30") && echo "$state" | grep -q '"done": *true'; do
    echo "$state" | sed 's/.*"status": *"\([a-z]*\)".*/\1/'
done
curl -sSL --fail-with-body "$api/v1/jobs/$job/picture" -o one-picture.png
echo "one-picture.png"
