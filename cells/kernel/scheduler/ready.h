/* What the files of the scheduler cell have in common. Internal to it. */
#pragma once
#include "cells/cell.h"

void scheduler_kick(unsigned cpu); /* has it choose a task anew */
