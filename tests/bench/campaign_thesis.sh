#!/usr/bin/env bash
# campaign_thesis.sh N: the thesis's mix (configs/campaigns/thesis.yaml) into build/campaign-thesis.db until N faults
# have manifested; goes on with what is there. The tables of docs/results/recovery.md: build/campaign-thesis.md.
set -eu
cd "$(dirname "$0")/../.."
db=build/campaign-thesis.db
if [ -e "$db" ]; then
    nice build/bin/delias campaign resume "$db" --manifested "$1"
else
    nice build/bin/delias campaign run configs/campaigns/thesis.yaml --manifested "$1" -o "$db"
fi
build/bin/delias campaign tables "$db" > build/campaign-thesis.md
echo "the tables: build/campaign-thesis.md"
