#!/usr/bin/env bash
# Unloading an application, and killing a task, from the host: whatever its tasks do, they end, and nothing of them
# stays.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin kill

tasks() { "$delias" tasks $machine --json | jq '[.[] | select(.name | startswith("restless"))] | length'; }
said() { # WORDS
    grep -qF -- "$1" "$work/out" || fail "it does not say '$1'"
}
refused() { # WORDS
    grep -qF -- "$1" "$work/err" || fail "the reason is not '$1'"
}
gone() {
    [ "$(tasks)" = 0 ] &&
        [ "$("$delias" cells $machine --all --json | jq '[.[] | select(.name == "restless")] | length')" = 0 ]
}

must 0 run --name $machine --accel auto --archive build/tests/guest.archive --append app=workload --detach
for way in a c d f g h m; do # enum restless: asleep, in a queue, at a channel, loops, in a library, all at once
    must 0 spawn $machine restless $way
    wait_until eval '[ "$(tasks)" -gt 0 ]' || fail "it does not run: $way"
    sleep 0.1
    must 0 unload $machine restless --timeout $wait_seconds
    said ' in it '
    wait_until gone || fail "something of it stays: $way"
done
echo 'ok: an application is unloaded, whatever it does'

must 0 spawn $machine restless b
must 0 spawn $machine restless e
wait_until eval '[ "$(tasks)" = 3 ]' || fail 'they do not run'
must 2 kill $machine restless
refused "2 tasks are called 'restless'"
must 0 kill $machine restless_child
id=$("$delias" tasks $machine --json | jq '[.[] | select(.name == "restless")][0].id')
must 0 kill $machine "$id" --json
jq -e .ok "$work/out" > /dev/null || fail 'the answer'
wait_until eval '[ "$(tasks)" -le 1 ]' || fail 'they go on'
"$delias" events $machine --json | jq -e '[.[] | select(.kind == "task killed")] | length > 0' > /dev/null ||
    fail 'the event'
must 3 kill $machine 999999
refused "no task '999999'"
must 1 kill $machine host_link
refused 'runs in no application'
echo 'ok: a task is killed, by id or name'

[ "$("$delias" faults $machine --json | jq length)" = 0 ] || fail 'there are faults'
must 0 verify $machine
must 0 ping $machine
echo 'ok: nobody is blamed, and nothing differs'
