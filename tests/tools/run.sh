#!/bin/sh
# What `make run` does once all is built: boots the default machine and opens the TUI on it; without a terminal it is
# left running, and how to look at it and how to stop it is said. One that runs already is shown as it is.
set -eu
delias=$1
show=--detach
[ ! -t 0 ] || [ ! -t 1 ] || show=--tui

if "$delias" ps | awk '$1 == "delias" && $3 != "dead" { found = 1 } END { exit !found }'; then
    echo "Machine delias runs already; for a fresh start: $delias stop delias"
    [ $show = --detach ] || exec "$delias" tui delias
    echo "Look at it: $delias tui delias"
    exit 0
fi
exec "$delias" run configs/machines/default.yaml $show
