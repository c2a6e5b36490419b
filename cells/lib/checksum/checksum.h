/* Checksums for messages, files and pictures: CRC-32 (IEEE 802.3) and FNV-1a. */
#pragma once
#include "cells/cell.h"

uint32_t checksum_crc32(uint32_t seed, const void *data, size_t bytes); /* seed 0 to start */
uint64_t checksum_fnv(uint64_t seed, const void *data, size_t bytes);   /* seed 0xcbf29ce484222325 to start */
