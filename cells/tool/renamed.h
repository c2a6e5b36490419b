/* Static functions that data points to, and that are gone or have another name in the new version. */
#pragma once
#include "cells/tool/transfer.h"

/* Adds a recipe for each function that --rename names, and refuses those that are gone while data that is carried
 * points to them, unless --drop says that nothing does any more. After the recipes for data. There is room in
 * transfer->recipe for all functions. */
void renamed_functions(struct transfer *transfer, struct match *match);
