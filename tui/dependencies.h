/* The page of dependencies: by cell, how often and from which functions; then who depends on it through others. */
#pragma once
#include "tui/page.h"

void page_list_dependencies(const struct view *view, struct place place, struct list *list);
