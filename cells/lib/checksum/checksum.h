/* Checksums for messages, files and pictures: CRC-32 (IEEE 802.3) and FNV-1a. */
#pragma once
#include "cells/cell.h"

/* Continue a checksum. The first `seed` is 0 for CRC-32, FNV_START (guest/abi/fnv.h) for FNV-1a. */
uint32_t checksum_crc32(uint32_t seed, const void *data, size_t bytes);
uint64_t checksum_fnv(uint64_t seed, const void *data, size_t bytes);
