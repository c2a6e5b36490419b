/* The devices behind the guest's I/O ports, for whoever counts what they do. */
#pragma once

enum { PORTS_DEVICES = 9 }; /* the last one: ports at which nobody answers */

const char *ports_device_name(unsigned device);
