/* Shared by the files of the scheduler cell, and private to it. */
#pragma once
#include "cells/cell.h"

/* Has `cpu` choose again which task it runs. From any context. */
void scheduler_kick(unsigned cpu);
