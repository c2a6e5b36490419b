#!/usr/bin/env bash
# judge_messages.sh LOG: judges by what a guest has delivered, whatever it says of itself: after each line "EXPERIMENT
# NUMBER MESSAGES", "DELIVERED NUMBER MESSAGE" must come for each message from 0 on, once and in order, and then
# "RECOVERED NUMBER". Prints how many experiments there were.
set -eu
tr -d '\r' < "${1:?usage: judge_messages.sh LOG}" | sed -n 's/^\[[ 0-9.]*\] //p' | awk '
    function wrong(what) { print "experiment " now ": " what; bad = 1; exit 1 }
    $1 == "EXPERIMENT" {
        if (open) wrong("has no end")
        if ($2 + 0 != ++count) wrong("is not followed by the next one, but by " $2)
        now = count; wanted = $3 + 0; next_one = 0; open = 1
    }
    $1 == "DELIVERED" && $2 + 0 {
        if (!open || $2 + 0 != now) wrong("a message of experiment " $2 " was delivered")
        if ($3 != next_one) wrong("message " $3 " was delivered, and not " next_one)
        next_one++
    }
    $1 == "RECOVERED" {
        if ($2 + 0 != now || next_one != wanted) wrong(next_one " messages were delivered, not " wanted)
        open = 0
    }
    END {
        if (bad) exit 1
        if (open || !count) wrong("has no end")
        print "  the host: every message of " count " experiments was delivered once and in order"
    }'
