/* See location.h. */
#include "cells/tool/location.h"
#include "cells/tool/die.h"
#include "guest/abi/fnv.h"
#include <dwarf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 32 /* of members within members */

/* ---- places ---- */

static bool read_address(Dwarf_Attribute *location, const Dwarf_Op *op, Dwarf_Addr *ret_address)
{
    Dwarf_Attribute listed;

    switch (op->atom) {
    case DW_OP_addr:
        *ret_address = op->number;
        return true;
    case DW_OP_addrx:
    case DW_OP_GNU_addr_index:
        return dwarf_getlocation_attr(location, op, &listed) == 0 && dwarf_formaddr(&listed, ret_address) == 0;
    default:
        return false;
    }
}

/* The expression so far, since the last part. */
struct part {
    struct location now;
    bool placed; /* has an address */
    bool other;  /* is no memory, or not understood */
};

static void add_step(struct part *part, const Dwarf_Op *op)
{
    const uint64_t words[] = {op->atom, op->number, op->number2};
    struct location *now = &part->now;

    if (op->atom == DW_OP_plus_uconst && part->placed && !now->form) {
        now->address += op->number;
        return;
    }
    if (!now->form) {
        part->other |= !part->placed || (op->atom != DW_OP_deref && op->atom != DW_OP_deref_size);
        now->stored = op->atom == DW_OP_deref_size ? op->number : 8;
    }
    now->form = fnv_add(now->form ?: FNV_START, words, sizeof words);
}

/* A computed value ends by saying that it is one: else it is the variable's address. */
static bool is_in_memory(const struct part *part, const Dwarf_Op *last)
{
    return part->placed && !part->other && (!part->now.form || (last && last->atom == DW_OP_stack_value));
}

size_t location_read(Dwarf_Die *variable, struct location ret_location[LOCATIONS_MAX])
{
    Dwarf_Attribute attribute;
    struct part part = {0};
    uint64_t offset = 0;
    size_t count = 0, ops;
    Dwarf_Addr address;
    Dwarf_Op *op;

    if (dwarf_getlocation(dwarf_attr(variable, DW_AT_location, &attribute), &op, &ops) != 0)
        return 0;
    for (size_t i = 0; i < ops && count < LOCATIONS_MAX; i++) {
        if (op[i].atom == DW_OP_piece) {
            part.now.offset = offset;
            part.now.part = op[i].number;
            if (is_in_memory(&part, i ? &op[i - 1] : NULL))
                ret_location[count++] = part.now;
            offset += op[i].number;
            part = (struct part){0};
        } else if (!part.placed && read_address(&attribute, &op[i], &address)) {
            part.now.address = address;
            part.placed = true;
        } else {
            add_step(&part, &op[i]);
        }
    }
    if (is_in_memory(&part, ops ? &op[ops - 1] : NULL) && count < LOCATIONS_MAX)
        ret_location[count++] = part.now;
    return count;
}

/* ---- parts ---- */

static bool held_type(Dwarf_Die *holder, Dwarf_Die *ret_type, uint64_t *ret_bytes)
{
    Dwarf_Word bytes;

    if (!die_type(holder, ret_type) || !die_peel(ret_type, true) || dwarf_aggregate_size(ret_type, &bytes) != 0)
        return false;
    *ret_bytes = bytes;
    return true;
}

/* Finds the member that holds these bytes of a structure, and makes the offset one in the member. */
static bool enter_member(Dwarf_Die *record, uint64_t *offset, uint64_t bytes, Dwarf_Die *ret_member)
{
    uint64_t bit, bits, size;
    Dwarf_Die child, type;

    if (dwarf_child(record, &child) != 0)
        return false;
    do
        if (dwarf_tag(&child) == DW_TAG_member && die_member_bit(&child, &bit, &bits) && !bits &&
            held_type(&child, &type, &size) && *offset >= bit / 8 && *offset + bytes <= bit / 8 + size) {
            *offset -= bit / 8;
            *ret_member = child;
            return true;
        }
    while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

/* The same with an element of an array of one dimension. */
static bool enter_element(Dwarf_Die *array, uint64_t *offset, uint64_t bytes, uint64_t *ret_index)
{
    Dwarf_Die child, next, type;
    uint64_t size;

    if (dwarf_child(array, &child) != 0 || dwarf_siblingof(&child, &next) == 0 || !held_type(array, &type, &size) ||
        !size || *offset % size + bytes > size)
        return false;
    *ret_index = *offset / size;
    *offset %= size;
    return true;
}

bool location_member(Dwarf_Die *variable, uint64_t offset, uint64_t bytes, Dwarf_Die *ret_holder, char *ret_path,
                     size_t room)
{
    Dwarf_Die holder = *variable, type;
    uint64_t size, index;
    size_t used = 0;

    ret_path[0] = '\0';
    for (unsigned depth = 0; depth < DEPTH_MAX && used < room && held_type(&holder, &type, &size); depth++) {
        if (offset == 0 && bytes == size) {
            *ret_holder = holder;
            return true;
        }
        if (dwarf_tag(&type) == DW_TAG_structure_type && enter_member(&type, &offset, bytes, &holder)) {
            used += (size_t)snprintf(ret_path + used, room - used, ".%s", dwarf_diename(&holder) ?: "");
        } else if (dwarf_tag(&type) == DW_TAG_array_type && enter_element(&type, &offset, bytes, &index)) {
            used += (size_t)snprintf(ret_path + used, room - used, ".%" PRIu64, index);
            holder = type;
        } else {
            return false;
        }
    }
    return false;
}

bool location_is_bits(Dwarf_Die *variable, uint64_t offset, uint64_t bytes)
{
    uint64_t bit, bits, size;
    Dwarf_Die child, type;

    if (!held_type(variable, &type, &size) || dwarf_tag(&type) != DW_TAG_structure_type ||
        dwarf_child(&type, &child) != 0)
        return false;
    do {
        Dwarf_Die inner;
        if (dwarf_tag(&child) != DW_TAG_member)
            continue;
        if (!die_member_bit(&child, &bit, &bits))
            return false;
        if (!bits && (!held_type(&child, &inner, &size) || (bit / 8 < offset + bytes && bit / 8 + size > offset)))
            return false;
    } while (dwarf_siblingof(&child, &child) == 0);
    return true;
}
