/* The objects of the build that fit a cell: files NAME.o whose note names that cell, with what they differ in. */
#pragma once
#include "introspect/objects.h"
#include "introspect/view.h"
#include "tui/list.h"

enum { PICKER_MAX = 32, PICKER_PATH = 512 };

struct picker_object {
    char path[PICKER_PATH];
    struct object_facts facts;
    bool loaded; /* it is the one that the cell has now */
};

struct picker {
    char folder[PICKER_PATH];
    struct picker_object object[PICKER_MAX];
    int objects;
};

/* Where the objects of this program's own build are, whatever the current folder is. */
void picker_folder(char ret_folder[PICKER_PATH]);
/* Looks for them, in order of their versions. */
void picker_look(struct picker *picker, const struct view *view, struct cell_ref cell);
/* The path of the object that the cell has now; NULL: it is not among them. */
const char *picker_loaded(const struct picker *picker);
/* Rows with the number of an object as id, from 1 on; then one to type a path, with id 0xffff. */
enum { PICKER_OTHER = 0xffff };
void picker_fill(const struct picker *picker, struct list *list);
