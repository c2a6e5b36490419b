/* See serial.h; registers as in the PC16550D data sheet. */
#include "vmm/serial.h"
#include "introspect/base/own.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATA = 0, IER = 1, IIR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCRATCH = 7 };
enum { IER_RX = 1, IER_THRE = 2, IER_MASK = 15 };
enum { IIR_NONE = 1, IIR_THRE = 2, IIR_RX = 4, IIR_FIFO = 0xc0 };
enum { LCR_DLAB = 0x80, MCR_OUT2 = 8, MCR_LOOP = 16, MCR_MASK = 31 };
enum { LSR_DATA = 1, LSR_OVERRUN = 2, LSR_THRE = 0x20, LSR_IDLE = 0x40 };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_KEPT = 0xc9 };

static uint8_t interrupt_cause(const struct serial *s)
{
    if ((s->ier & IER_RX) && s->count > 0)
        return IIR_RX;
    if ((s->ier & IER_THRE) && s->thr_empty_pending)
        return IIR_THRE;
    return IIR_NONE;
}

/* On a PC, OUT2 gates the interrupt line. */
static void update_irq(struct serial *s)
{
    bool level = interrupt_cause(s) != IIR_NONE && (s->mcr & MCR_OUT2) && !(s->mcr & MCR_LOOP);

    if (level != s->irq)
        s->set_irq(s->owner, level);
    s->irq = level;
}

void serial_reset(struct serial *s)
{
    s->ier = s->fcr = s->lcr = s->mcr = s->scratch = 0;
    s->divisor[0] = 12;
    s->divisor[1] = 0;
    s->thr_empty_pending = s->overrun = false;
    s->first = s->count = 0;
    update_irq(s);
}

static void transmit(struct serial *s, uint8_t byte)
{
    serial_log_write(&s->log, &byte, 1);
    for (int c = 0; c < SERIAL_CLIENTS_MAX; c++)
        if (s->client[c] >= 0)
            (void)!send(s->client[c], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

size_t serial_receive(struct serial *s, const uint8_t *bytes, size_t count)
{
    size_t n = 0;

    for (; n < count && s->count < SERIAL_QUEUE; n++)
        s->queue[(s->first + s->count++) % SERIAL_QUEUE] = bytes[n];
    s->overrun = s->overrun || n < count;
    update_irq(s);
    return n;
}

static uint8_t take_byte(struct serial *s)
{
    if (s->count == 0)
        return 0;
    uint8_t byte = s->queue[s->first];
    s->first = (s->first + 1) % SERIAL_QUEUE;
    s->count--;
    return byte;
}

static uint8_t modem_status(const struct serial *s)
{
    if (!(s->mcr & MCR_LOOP))
        return MSR_DCD | MSR_DSR | MSR_CTS;
    /* Loopback: DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD. */
    return (uint8_t)((s->mcr & 1 ? MSR_DSR : 0) | (s->mcr & 2 ? MSR_CTS : 0) | (s->mcr & 4 ? MSR_RI : 0) |
                     (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static uint8_t read_register(struct serial *s, unsigned reg)
{
    uint8_t value;

    switch (reg) {
    case DATA:
        return s->lcr & LCR_DLAB ? s->divisor[0] : take_byte(s);
    case IER:
        return s->lcr & LCR_DLAB ? s->divisor[1] : s->ier;
    case IIR:
        value = interrupt_cause(s);
        if (value == IIR_THRE)
            s->thr_empty_pending = false;
        return (uint8_t)(value | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0));
    case LCR:
        return s->lcr;
    case MCR:
        return s->mcr;
    case LSR:
        value = (uint8_t)(LSR_THRE | LSR_IDLE | (s->count ? LSR_DATA : 0) | (s->overrun ? LSR_OVERRUN : 0));
        s->overrun = false;
        return value;
    case MSR:
        return modem_status(s);
    default:
        return s->scratch;
    }
}

uint8_t serial_in(struct serial *s, unsigned reg)
{
    uint8_t value = read_register(s, reg & 7);

    update_irq(s);
    return value;
}

static void write_data(struct serial *s, uint8_t value) NEEDS(devices_role)
{
    if (s->lcr & LCR_DLAB) {
        s->divisor[0] = value;
        return;
    }
    if (s->mcr & MCR_LOOP)
        s->overrun = serial_receive(s, &value, 1) == 0;
    else
        transmit(s, value);
    s->thr_empty_pending = true;
}

static void write_ier(struct serial *s, uint8_t value)
{
    if (s->lcr & LCR_DLAB) {
        s->divisor[1] = value;
        return;
    }
    if ((value & IER_THRE) && !(s->ier & IER_THRE))
        s->thr_empty_pending = true;
    s->ier = value & IER_MASK;
}

void serial_out(struct serial *s, unsigned reg, uint8_t value)
{
    switch (reg & 7) {
    case DATA:
        write_data(s, value);
        break;
    case IER:
        write_ier(s, value);
        break;
    case IIR: /* the FIFO control register, for writes */
        if ((value & FCR_CLEAR_RX) || (value & FCR_ENABLE) != (s->fcr & FCR_ENABLE))
            s->first = s->count = 0;
        s->fcr = value & FCR_KEPT;
        break;
    case LCR:
        s->lcr = value;
        break;
    case MCR:
        s->mcr = value & MCR_MASK;
        break;
    case SCRATCH:
        s->scratch = value;
        break;
    default: /* LSR and MSR are read-only */
        break;
    }
    update_irq(s);
}

/* ---- the host's side ---- */

/* Before there are vCPUs. */
UNCHECKED enum err serial_open(struct serial *s, const char *socket_path, const char *log_path, uint64_t log_most,
                               void (*set_irq)(void *owner, bool level), void *owner)
{
    *s = (struct serial){.set_irq = set_irq, .owner = owner, .listener.fd = -1};
    memset(s->client, 0xff, sizeof s->client);
    serial_reset(s);
    enum err e = serial_log_open(&s->log, log_path, log_most);
    return e == ERR_OK ? socket_listen(socket_path, &s->listener) : e;
}

void serial_close(struct serial *s)
{
    if (!s->set_irq)
        return;
    for (int c = 0; c < SERIAL_CLIENTS_MAX; c++)
        if (s->client[c] >= 0)
            close(s->client[c]);
    serial_log_close(&s->log);
    socket_close(&s->listener);
}

size_t serial_poll(struct serial *s, struct pollfd *fds)
{
    size_t n = 0;

    if (s->listener.fd >= 0)
        fds[n++] = (struct pollfd){.fd = s->listener.fd, .events = POLLIN};
    for (int c = 0; c < SERIAL_CLIENTS_MAX; c++)
        if (s->client[c] >= 0 && s->count < SERIAL_QUEUE)
            fds[n++] = (struct pollfd){.fd = s->client[c], .events = POLLIN};
    return n;
}

/* A client's place that is free, or whose client has gone; NULL: there is none. */
static int *find_place(struct serial *s)
{
    for (int c = 0; c < SERIAL_CLIENTS_MAX; c++)
        if (s->client[c] < 0)
            return &s->client[c];
    for (int c = 0; c < SERIAL_CLIENTS_MAX; c++) {
        struct pollfd gone = {.fd = s->client[c]};
        if (poll(&gone, 1, 0) == 1 && (gone.revents & (POLLHUP | POLLERR)))
            return &s->client[c];
    }
    return NULL;
}

static void accept_console(struct serial *s)
{
    OWN(descriptor) int fd = socket_accept(&s->listener);
    int *place = fd < 0 ? NULL : find_place(s);

    if (!place)
        return;
    if (*place >= 0)
        close(*place);
    *place = MOVE_DESCRIPTOR(fd);
}

static void read_client(struct serial *s, int *client) NEEDS(devices_role)
{
    uint8_t bytes[SERIAL_QUEUE];
    size_t room = SERIAL_QUEUE - s->count;
    ssize_t n = recv(*client, bytes, room, MSG_DONTWAIT);

    if (n > 0) {
        serial_receive(s, bytes, (size_t)n);
    } else if (room > 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
        close(*client);
        *client = -1;
    }
}

void serial_handle(struct serial *s, const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < SERIAL_CLIENTS_MAX && fds[i].revents; c++)
            if (s->client[c] >= 0 && fds[i].fd == s->client[c])
                read_client(s, &s->client[c]);
    /* Last: a new client must not be taken for an old one with the same descriptor. */
    for (size_t i = 0; i < count; i++)
        if (fds[i].revents && fds[i].fd == s->listener.fd)
            accept_console(s);
}
