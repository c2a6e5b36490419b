/* As in cell ioapic. */
#include "cells/task/ioapic/nmi.c"
