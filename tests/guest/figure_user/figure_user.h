/* Stands between an application and cell C: without state, so it is copied where C is changed. */
#pragma once
#include "cells/cell.h"

uint64_t figure_user(uint64_t n); /* what figure_c says */
uint64_t figure_user_at(void);    /* where that is */
