#!/usr/bin/env bash
# Ten programs at once that ask the guest for something again and again: each is served in order and within its
# time-out, whoever is killed or stopped meanwhile, or blocked by whoever reads what it prints.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin clients
clients=10 requests=15 cells=build/cells

must 0 run configs/machines/default.yaml --name $machine --detach
await rounds 1

ask() { # I: the Ith request of a client
    case $(($1 % 5)) in
        0) "$delias" swap $machine checksum=$cells/checksum_v2.o --timeout $wait_seconds ;;
        1) "$delias" verify $machine ;;
        2) "$delias" reload $machine canvas --timeout $wait_seconds ;;
        3) "$delias" swap $machine channel=$cells/channel_v2.o --dry-run --timeout $wait_seconds ;;
        4) "$delias" ping $machine --timeout $wait_seconds ;;
    esac
}
client() { # NUMBER
    local i
    for ((i = 0; i < requests; i++)); do
        ask $(($1 + i)) > /dev/null 2> "$work/client.$1" && continue
        echo "client $1, request $i: $(cat "$work/client.$1")"
        return 1
    done
}
# Victims: killed or stopped at some moment of their request; one that is stopped goes on later, and is served then.
victim() { # NUMBER
    "$delias" reload $machine canvas --timeout $wait_seconds > "$work/victim.$1" 2>&1 &
    local pid=$!
    sleep "0.0$(($1 * 7 % 10))"
    if [ $(($1 % 2)) -eq 0 ]; then
        kill -KILL $pid 2> /dev/null
        wait $pid 2> /dev/null
        return 0
    fi
    kill -STOP $pid 2> /dev/null
    sleep 2
    kill -CONT $pid 2> /dev/null
    wait $pid || { echo "a program that was stopped: $(cat "$work/victim.$1")"; return 1; }
}

pids=()
for ((c = 0; c < clients; c++)); do
    client $c >> "$work/failed" &
    pids+=($!)
done
for ((v = 0; v < 10; v++)); do
    victim $v >> "$work/failed"
done
for pid in "${pids[@]}"; do
    wait "$pid"
done
[ ! -s "$work/failed" ] || { cat "$work/failed"; fail 'a request was not served'; }
must 0 verify $machine
"$delias" counters $machine --json | jq -e '.checksums_bad == 0 and .faults == 0' > /dev/null || fail 'faults'
echo "ok: $clients programs made $requests requests each, and every one was served"

# One that is stopped for good stops nobody for longer than a moment.
"$delias" reload $machine canvas --timeout $wait_seconds > /dev/null 2>&1 &
stopped=$!
kill -STOP $stopped
for i in 1 2 3; do
    must 0 ping $machine --timeout $wait_seconds
done
kill -CONT $stopped
wait $stopped || fail 'the stopped one was not served when it went on'
echo 'ok: one that is stopped does not stop the others'

# One whose output nobody reads has been served and stops nobody, however much time it has given itself.
mkfifo "$work/unread"
sleep $guest_seconds < "$work/unread" &
reader=$!
all=$("$delias" cells $machine --json |
    jq -r --arg folder $cells '.[].name | select(. != "nano_core") | . + "=" + $folder + "/" + . + ".o"')
newest=$("$delias" events $machine --last 1 --json | jq '.[0].seq')
# shellcheck disable=SC2086
"$delias" swap $machine $all --dry-run --json --timeout 3600 > "$work/unread" 2> "$work/err" &
pid=$!
planned() { "$delias" events $machine --json | jq -e "any(.[]; .seq > $newest and .text == \"swap\")" > /dev/null; }
wait_until planned || fail 'its request does not come'
must 0 ping $machine --timeout $wait_seconds
kill $reader
wait $pid
echo 'ok: one whose output is not read does not stop the others'
