/* Packets of GDB's remote protocol: "$body#sum", with acknowledgements between them. Leaves out sockets, and what the
 * bodies mean. A body may hold any byte but '#' and '$'; those and '}' and '*' are escaped in binary data.
 *
 * What reads a peer keeps one struct rsp_reader and gives it the bytes one by one; they may be anything. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RSP_BODY_MAX = 16 << 10, RSP_FRAME = 4 }; /* bytes of a body; bytes around it */
enum { RSP_INTERRUPT_BYTE = 3 };                 /* stops what runs */

enum rsp_item {
    RSP_NOTHING,   /* of this byte alone: go on */
    RSP_PACKET,    /* a whole one: body, bytes */
    RSP_BROKEN,    /* its sum is wrong or it is too long: to be answered with '-' */
    RSP_ACK,       /* '+' */
    RSP_RESEND,    /* '-' */
    RSP_INTERRUPT, /* RSP_INTERRUPT_BYTE */
};

/* Zeros: nothing has been read. */
struct rsp_reader {
    unsigned state; /* of rsp.c */
    bool note;      /* a notification ("%"), which is skipped */
    uint8_t sum, said;
    size_t bytes;                /* of the body */
    char body[RSP_BODY_MAX + 1]; /* with a NUL behind it once the packet is whole */
};

/* Takes a byte. The body stays until the next byte is taken. */
enum rsp_item rsp_take(struct rsp_reader *reader, uint8_t byte);

/* Writes the packet of a body; returns its length, or 0: it has no room. */
size_t rsp_frame(const char *body, size_t bytes, char *ret_packet, size_t room);

/* Takes the escapes out of binary data, in place. Returns how many bytes are left. */
size_t rsp_unescape(char *data, size_t bytes);

/* Reads hexadecimal digits, at least one and at most 16. False: there are none or more, and *at is where it was. */
bool rsp_number(const char **at, uint64_t *ret_value);
/* Reads `bytes` bytes of two digits each. False: there are not so many digits. */
bool rsp_hex_bytes(const char *text, void *ret_data, size_t bytes);
/* Writes two digits for each byte, and a NUL; returns the number of digits. */
size_t rsp_put_hex(char *ret_text, const void *data, size_t bytes);

/* Answers "qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH" from a text; `range` is from OFFSET on. Writes the body with a
 * NUL, "E01" for a bad range; returns its length. */
size_t rsp_slice(const char *range, const char *text, size_t text_bytes, char ret_body[RSP_BODY_MAX + 1]);
