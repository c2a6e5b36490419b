/* The guest's side of the rings in the arena through which a host asks for something (guest/abi/arena.h): a task that
 * looks for new requests, has the request cell execute them one after the other, and posts completions. It has no
 * functions for others; loading it starts it. On a machine without such a host nothing ever arrives. */
#pragma once
#include "cells/cell.h"
