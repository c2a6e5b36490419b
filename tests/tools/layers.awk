# Compares sources and objects with configs/layers, or with -v draw=1 prints what docs/layers.md shows of it.
# Input: configs/layers; then a file whose name ends in "objects": lines of `nm -A -P -g`; then all sources.
# A unit is what has private headers: a cell, with all its versions, or a folder of the host.

function fail(where, text)
{
    print where ": " text | "cat 1>&2"
    failed = 1
}

# ---- declarations ----

function declare_layer(    i, from)
{
    if (exists[$2]++)
        fail(here, $2 " is declared twice")
    layers[++layer_count] = $2
    part_of[$2] = parts
    line_of[$2] = here
    below[$2, $2] = 1
    for (i = 4; i <= NF; i++) {
        over[$2] = over[$2] " " $i
        if (!($i in line_of))
            fail(here, $i " is not declared above as a layer")
        if (rank[$2] <= rank[$i])
            rank[$2] = rank[$i] + 1
        for (from = 1; from <= layer_count; from++)
            if (below[$i, layers[from]])
                below[$2, layers[from]] = 1
    }
}

function declare_public(    i)
{
    for (i = 3; i <= NF; i++)
        public[$2 "/" $i] = here
}

function declare_exception(kind,    i, reason)
{
    reason = index($0, " : ") ? substr($0, index($0, " : ") + 3) : ""
    if (!reason)
        fail(here, $1 " without a reason behind \" : \"")
    for (i = 2; i <= NF && $i != ":"; i++) {
        excepted[kind, $i] = here
        exception[here] = exception[here] " " $i
    }
    exceptions[++exception_count] = here
    kind_of[here] = kind
    reason_of[here] = reason
}

function declare_bound()
{
    bound_at[$2, $3] = here
    bound_when[$2, $3] = substr($0, index($0, " : ") + 3)
}

function declare()
{
    if ($1 == "part") {
        parts++
        part_title[parts] = substr($0, 6)
    } else if ($1 == "layer" && (NF == 2 || $3 == "over" && NF > 3))
        declare_layer()
    else if ($1 == "free" && NF == 2)
        free[$2] = here
    else if ($1 == "public" && NF > 2)
        declare_public()
    else if ($1 == "bound" && NF > 4 && $4 == ":")
        declare_bound()
    else if ($1 == "cycle" || $1 == "ignore" || $1 == "no_foundation")
        declare_exception($1)
    else
        fail(here, "\"" $0 "\" is not understood")
}

# ---- names ----

function folder_of(path)
{
    sub(/\/?[^\/]*$/, "", path)
    return path
}

function base_of(name) # of a cell, whatever its version
{
    sub(/(_v[1-9]|_avx2)$/, "", name)
    return name
}

function layer_of(path) # the longest one that the path is in
{
    while (path != "" && !(path in line_of) && !(path in free))
        path = folder_of(path)
    return path
}

function cell_of(path,    part) # "": none
{
    return split(path, part, "/") > 3 && part[1] == "cells" && !(path in free) ? part[3] : ""
}

function unit_of(path)
{
    return cell_of(path) ? folder_of(folder_of(path)) "/" base_of(cell_of(path)) : layer_of(path)
}

function is_public(header,    folder, name)
{
    folder = folder_of(header)
    name = folder
    sub(/.*\//, "", name)
    if (header in line_of || header == folder "/" name ".h")
        return 1
    if (folder "/*" in public)
        header = folder "/*"
    used[header] = 1
    return header in public
}

# ---- sources ----

function file_begins(    cell)
{
    files[FILENAME] = 1
    cell = cell_of(FILENAME)
    if (!layer_of(FILENAME))
        fail(FILENAME, "is in no layer of " layers_file)
    if (cell && FILENAME ~ /\.[cS]$/ && !(cell in cells)) {
        cells[cell] = folder_of(FILENAME)
        if (cell == base_of(cell))
            cell_list[++cell_count] = cell
    }
    function_name = ""
}

function include_found(    quoted, target, from, to)
{
    split($0, quoted, "\"")
    target = quoted[2]
    from = layer_of(FILENAME)
    to = layer_of(target)
    if (from in free)
        return
    if (!to || to in free)
        fail(here, "includes " target ", which is in no layer")
    else if (!below[from, to])
        fail(here, "includes " target ", which is in no layer below " from)
    else if (unit_of(FILENAME) != unit_of(target) && !is_public(target))
        fail(here, "includes " target ", which is private to " unit_of(target))
}

# edge_bind(&slot, ...): in the function before it.
function bind_found(    slot)
{
    slot = $0
    sub(/.*edge_bind\(&/, "", slot)
    sub(/[^a-z_0-9].*/, "", slot)
    bind_count++
    bind_slot[bind_count] = slot
    bind_cell[bind_count] = base_of(cell_of(FILENAME))
    bind_function[bind_count] = function_name
}

function source_line()
{
    if (FNR == 1)
        file_begins()
    if (/^[ \t]*#[ \t]*include[ \t]*"/)
        include_found()
    else if (/^(CORE|FOUNDATION)\(\);/)
        mark[cell_of(FILENAME), substr($0, 1, index($0, "(") - 1)] = here
    else if (/^[a-z].*[a-z_0-9]\(/ && !/;$/) {
        function_name = $0
        sub(/\(.*/, "", function_name)
        sub(/.*[ *]/, "", function_name)
    } else if (/edge_bind\(&/ && cell_of(FILENAME))
        bind_found()
}

# ---- objects ----

function object_line(    object, cell)
{
    object = $1
    sub(/\.o:$/, "", object)
    sub(/.*\//, "", object)
    cell = base_of(object)
    has_object[object] = 1
    symbols[++symbol_count] = cell " " $2 " " $3
}

function join_symbols(    i, word, to)
{
    for (i = 1; i <= symbol_count; i++) {
        split(symbols[i], word, " ")
        if (word[1] in cells && word[3] !~ /[Uw]/)
            exporter[word[2]] = word[1]
    }
    for (i = 1; i <= symbol_count; i++) {
        split(symbols[i], word, " ")
        to = exporter[word[2]]
        if (word[3] != "U" || !(word[1] in cells))
            continue
        wants[word[1], word[2]] = 1
        if (("ignore", word[2]) in excepted)
            used["ignore", word[2]] = 1
        else if (to in cells && to != word[1])
            calls[word[1], to] = word[2]
    }
}

# Who is called through a pointer that was bound: if an exported function binds it, its callers, else the cell itself.
function join_binds(    i, k, owner, own_function)
{
    for (i = 1; i <= bind_count; i++) {
        owner = wants[bind_cell[i], bind_slot[i]] ? exporter[bind_slot[i]] : bind_cell[i]
        used[owner, bind_slot[i]] = 1
        if (!((owner, bind_slot[i]) in bound_when))
            fail(cells[bind_cell[i]], "binds " bind_slot[i] " of " owner ", which is not declared as bound")
        own_function = exporter[bind_function[i]] == bind_cell[i]
        if (owner == bind_cell[i] && !own_function)
            fail(cells[owner], bind_slot[i] " is bound in " bind_function[i] ", which is not exported")
        else if (!own_function)
            add_bind(owner, bind_cell[i], bind_slot[i], "edge_bind")
        for (k = 1; k <= cell_count && own_function; k++)
            if (wants[cell_list[k], bind_function[i]])
                add_bind(owner, cell_list[k], bind_slot[i], bind_function[i])
    }
}

function add_bind(owner, cell, slot, through,    key)
{
    bound[owner, cell] = 1
    key = owner " | `" slot "` | " bound_when[owner, slot] " | `" through "`"
    if (!(key in binders))
        bind_rows[++bind_row_count] = key
    binders[key] = binders[key] (key in binders && binders[key] ? ", " : "") cell
}

# ---- rules about cells ----

function check_objects(    cell)
{
    for (cell in cells)
        if (!(cell in has_object))
            fail(cells[cell], "build/cells/" cell ".o is not there; build first")
}

function check_calls(    i, k, from, to)
{
    for (i = 1; i <= cell_count; i++)
        for (k = 1; k <= cell_count; k++) {
            from = cell_list[i]
            to = cell_list[k]
            if ((from, to) in calls && !below[layer_of(cells[from] "/"), layer_of(cells[to] "/")])
                fail(cells[from], "calls " calls[from, to] " of " to ", which is in no layer below " \
                     layer_of(cells[from] "/"))
        }
}

function reach(from, cell,    k)
{
    for (k = 1; k <= cell_count; k++)
        if ((cell, cell_list[k]) in calls && !reaches[from, cell_list[k]]) {
            reaches[from, cell_list[k]] = 1
            reach(from, cell_list[k])
        }
}

function cycle_of(cell,    k, members)
{
    for (k = 1; k <= cell_count; k++)
        if (reaches[cell, cell_list[k]] && reaches[cell_list[k], cell])
            members = members " " cell_list[k]
    return members
}

function check_cycles(    i, k, members, said)
{
    for (i = 1; i <= cell_count; i++)
        reach(cell_list[i], cell_list[i])
    for (i = 1; i <= cell_count; i++) {
        members = cycle_of(cell_list[i])
        in_cycle[members] = 1
        if (members && !(members in said) && !is_declared_cycle(members))
            fail(cells[cell_list[i]], "is in a cycle of calls that is not declared:" members)
        said[members] = 1
    }
    for (k = 1; k <= exception_count; k++)
        if (kind_of[exceptions[k]] == "cycle" && !(sorted(exception[exceptions[k]]) in in_cycle))
            fail(exceptions[k], "there is no cycle of exactly" exception[exceptions[k]])
}

function is_declared_cycle(members,    k)
{
    for (k = 1; k <= exception_count; k++)
        if (kind_of[exceptions[k]] == "cycle" && sorted(exception[exceptions[k]]) == members)
            return 1
    return 0
}

function sorted(names,    k, result) # in the order of cell_list
{
    for (k = 1; k <= cell_count; k++)
        if (index(names " ", " " cell_list[k] " "))
            result = result " " cell_list[k]
    return result
}

# What a fault's recovery calls, also through bound pointers, is the core or says FOUNDATION(), and nothing else does.
function recover_through(cell,    k, next_)
{
    for (k = 1; k <= cell_count; k++) {
        next_ = cell_list[k]
        if (needed[next_] || !((cell, next_) in calls || (cell, next_) in bound))
            continue
        if (("no_foundation", next_) in excepted) {
            used["no_foundation", next_] = 1
            continue
        }
        needed[next_] = cell
        recover_through(next_)
    }
}

function check_foundation(    k, cell, marked)
{
    if ("recovery" in cells) {
        needed["recovery"] = "recovery"
        recover_through("recovery")
    }
    for (k = 1; k <= cell_count; k++) {
        cell = cell_list[k]
        marked = (cell, "FOUNDATION") in mark
        if (needed[cell] && !marked && !((cell, "CORE") in mark))
            fail(cells[cell], "recovery needs it, by way of " needed[cell] ", and it does not say FOUNDATION()")
        if (marked && !needed[cell])
            fail(mark[cell, "FOUNDATION"], "says FOUNDATION(), and recovery does not need it")
    }
}

function check_versions(    cell, word, i)
{
    split("CORE FOUNDATION", word, " ")
    for (cell in cells)
        for (i = 1; i <= 2; i++)
            if (((cell, word[i]) in mark) != ((base_of(cell), word[i]) in mark))
                fail(cells[cell], "differs from " base_of(cell) " in " word[i] "()")
}

# ---- rules about declarations ----

function check_declared(    path, file, seen, header, key, part)
{
    for (file in files)
        for (path = file; path != ""; path = folder_of(path))
            seen[path] = 1
    for (path in line_of)
        if (!(path in seen))
            fail(line_of[path], path " is not there")
    for (path in free)
        if (!(path in seen))
            fail(free[path], path " is not there")
    for (header in public)
        if (!((header ~ /\*$/ ? folder_of(header) : header) in seen))
            fail(public[header], header " is not there")
        else if (!(header in used))
            fail(public[header], "nobody else includes " header)
    for (key in bound_at)
        if (!(key in used)) {
            split(key, part, SUBSEP)
            fail(bound_at[key], "nothing binds " part[2] " of " part[1])
        }
    for (key in excepted) {
        split(key, part, SUBSEP)
        if (part[1] != "ignore" && !(part[2] in cells))
            fail(excepted[key], "there is no cell " part[2])
        else if (part[1] != "cycle" && !(key in used))
            fail(excepted[key], "nothing needs the exception for " part[2])
    }
}

# ---- the picture ----

function members_of(layer,    k, names)
{
    for (k = 1; k <= cell_count; k++)
        if (layer_of(cells[cell_list[k]] "/") == layer && layer != cells[cell_list[k]])
            names = names " " cell_list[k]
    return substr(names, 2)
}

function draw_part(number,    r, i, top, any, line)
{
    for (i = 1; i <= layer_count; i++)
        if (part_of[layers[i]] == number && rank[layers[i]] > top)
            top = rank[layers[i]]
    print "\n" part_title[number] ":\n"
    for (r = top; r >= 0; r--) {
        any = 0
        for (i = 1; i <= layer_count; i++)
            if (part_of[layers[i]] == number && rank[layers[i]] == r) {
                if (!any++)
                    print "    " rule
                line = sprintf("    %-24s  over%s", layers[i], over[layers[i]])
                print over[layers[i]] ? line : "    " layers[i]
                if (members_of(layers[i]))
                    print "        " members_of(layers[i])
            }
    }
    print "    " rule
}

function draw_all(    i, k, names, marks)
{
    rule = sprintf("%100s", "")
    gsub(/ /, "-", rule)
    for (i = 1; i <= parts; i++)
        draw_part(i)
    for (i = split("CORE FOUNDATION", marks, " "); i > 0; i--) {
        names = ""
        for (k = 1; k <= cell_count; k++)
            if ((cell_list[k], marks[i]) in mark)
                names = names (names ? ", " : "") "`" cell_list[k] "`"
        print "\n`" marks[i] "()`: " names "."
    }
    print "\n| exception | what | reason |\n|---|---|---|"
    for (i = 1; i <= exception_count; i++)
        print "| " kind_of[exceptions[i]] " |" exception[exceptions[i]] " | " reason_of[exceptions[i]] " |"
    print "\n| bound pointer of | named | called | bound with | by |\n|---|---|---|---|---|"
    for (i = 1; i <= bind_row_count; i++)
        print "| " bind_rows[i] " | " binders[bind_rows[i]] " |"
}

# ---- the order ----

FNR == 1 { if (!layers_file) layers_file = FILENAME }
{ here = FILENAME ":" FNR }
FILENAME == layers_file { if (NF && !/^#/) declare(); next }
FILENAME ~ /objects$/ { object_line(); next }
{ source_line() }

END {
    join_symbols()
    join_binds()
    check_objects()
    check_calls()
    check_cycles()
    check_foundation()
    check_versions()
    check_declared()
    if (draw && !failed)
        draw_all()
    exit failed
}
