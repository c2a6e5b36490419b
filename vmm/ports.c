/* The guest's I/O ports: a table of who answers where. A wide access reaches successive byte ports, as on the ISA bus.
 * What nobody answers reads as ones. */
#include "vmm/acpi.h"
#include "vmm/ports.h"
#include "vmm/vmm.h"
#include <string.h>

enum { RESET_CONTROL = 0xcf9 };

struct device {
    const char *name;
    uint16_t first, last;
    uint8_t (*in)(struct vmm *vmm, uint16_t port);
    void (*out)(struct vmm *vmm, uint16_t port, uint8_t value);
};

static uint8_t serial_port_in(struct vmm *vmm, uint16_t port) NEEDS(devices_role)
{
    return serial_in(&vmm->serial, port & 7);
}

static void serial_port_out(struct vmm *vmm, uint16_t port, uint8_t value) NEEDS(devices_role)
{
    serial_out(&vmm->serial, port & 7, value);
}

static uint8_t cmos_port_in(struct vmm *vmm, uint16_t port) NEEDS(devices_role)
{
    return cmos_in(&vmm->cmos, port);
}

static void cmos_port_out(struct vmm *vmm, uint16_t port, uint8_t value) NEEDS(devices_role)
{
    cmos_out(&vmm->cmos, port, value);
}

static uint8_t keyboard_port_in(struct vmm *vmm, uint16_t port) NEEDS(devices_role)
{
    return keyboard_in(&vmm->keyboard, port);
}

static void keyboard_port_out(struct vmm *vmm, uint16_t port, uint8_t value) NEEDS(devices_role)
{
    if (keyboard_out(&vmm->keyboard, port, value))
        vmm_request(vmm, REQUEST_RESET, 0);
}

static uint8_t fast_a20_in(struct vmm *vmm, uint16_t port)
{
    (void)vmm, (void)port;
    return 2; /* A20 is always on */
}

static void fast_a20_out(struct vmm *vmm, uint16_t port, uint8_t value)
{
    (void)port;
    if (value & 1)
        vmm_request(vmm, REQUEST_RESET, 0);
}

static void reset_control_out(struct vmm *vmm, uint16_t port, uint8_t value)
{
    (void)port;
    if (value & 4)
        vmm_request(vmm, REQUEST_RESET, 0);
}

static void debug_exit_out(struct vmm *vmm, uint16_t port, uint8_t value)
{
    (void)port;
    vmm_request(vmm, REQUEST_SHUTDOWN, (value << 1 | 1) & 0xff);
}

static uint8_t zero_in(struct vmm *vmm, uint16_t port)
{
    (void)vmm, (void)port;
    return 0;
}

static uint8_t power_in(struct vmm *vmm, uint16_t port) NEEDS(devices_role)
{
    unsigned at = port - ACPI_PM_PORT;

    if (at < 4)
        return power_event_in(&vmm->power, at);
    return at == 4; /* SCI_EN: there is no other mode to switch from */
}

/* PM1_CNT is 16 bits wide; SLP_EN is bit 13, and S5 the only sleep that the tables name. */
static void power_out(struct vmm *vmm, uint16_t port, uint8_t value) NEEDS(devices_role)
{
    unsigned at = port - ACPI_PM_PORT;

    if (at < 4)
        power_event_out(&vmm->power, at, value);
    if (at == 5 && (value & 0x20))
        vmm_request(vmm, REQUEST_SHUTDOWN, 0);
}

static const struct device devices[] = {
    {"serial", 0x3f8, 0x3ff, serial_port_in, serial_port_out},
    {"cmos", 0x70, 0x71, cmos_port_in, cmos_port_out},
    {"keyboard_data", 0x60, 0x60, keyboard_port_in, keyboard_port_out},
    {"keyboard", 0x64, 0x64, keyboard_port_in, keyboard_port_out},
    {"fast_a20", 0x92, 0x92, fast_a20_in, fast_a20_out},
    {"reset_control", RESET_CONTROL, RESET_CONTROL, zero_in, reset_control_out},
    {"debug_exit", 0xf4, 0xf4, NULL, debug_exit_out},
    {"power", ACPI_PM_PORT, ACPI_PM_PORT + 5, power_in, power_out},
};

_Static_assert(sizeof devices / sizeof *devices == PORTS_DEVICES - 1, "PORTS_DEVICES counts them");

const char *ports_device_name(unsigned device)
{
    return device < PORTS_DEVICES - 1 ? devices[device].name : "nothing";
}

static const struct device *find_device(uint32_t port)
{
    for (unsigned i = 0; i < sizeof devices / sizeof *devices; i++)
        if (port >= devices[i].first && port <= devices[i].last)
            return &devices[i];
    return NULL;
}

static void access_once(struct vmm *vmm, bool out, uint16_t port, unsigned bytes, unsigned char *data)
    NEEDS(devices_role)
{
    for (unsigned b = 0; b < bytes; b++) {
        const struct device *d = find_device(port + b);
        /* 0xcf8 to 0xcfb together are an address in PCI's configuration space, and no reset. */
        if (b > 0 && port + b == RESET_CONTROL)
            d = NULL;
        size_t number = d ? (size_t)(d - devices) : PORTS_DEVICES - 1;
        (out ? vmm->port_writes : vmm->port_reads)[number]++;
        if (out && d && d->out)
            d->out(vmm, (uint16_t)(port + b), data[b]);
        if (!out)
            data[b] = d && d->in ? d->in(vmm, (uint16_t)(port + b)) : 0xff;
    }
}

void ports_access(struct vmm *vmm, bool out, uint16_t port, unsigned bytes, unsigned count, unsigned char *data)
{
    vmm_lock_devices(vmm);
    for (unsigned i = 0; i < count; i++)
        access_once(vmm, out, port, bytes, data + (size_t)i * bytes);
    vmm_unlock_devices(vmm);
}
