/* As in cell ioapic. */
#include "cells/task/ioapic/lines.c"
