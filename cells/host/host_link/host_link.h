/* The guest's end of the request ring (guest/abi/arena.h): a task that polls for requests, has the request cell execute
 * them in order, and posts completions. Exports nothing; loading the cell starts the task. */
#pragma once
#include "cells/cell.h"
