/* See rsp.h. */
#include "introspect/base/rsp.h"
#include <string.h>

enum state { BETWEEN, IN_BODY, FIRST_DIGIT, SECOND_DIGIT };

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void begin_body(struct rsp_reader *r, bool note)
{
    r->state = IN_BODY;
    r->note = note;
    r->sum = 0;
    r->bytes = 0;
}

static enum rsp_item between(struct rsp_reader *r, uint8_t byte)
{
    switch (byte) {
    case '$':
    case '%':
        begin_body(r, byte == '%');
        return RSP_NOTHING;
    case '+':
        return RSP_ACK;
    case '-':
        return RSP_RESEND;
    case RSP_INTERRUPT_BYTE:
        return RSP_INTERRUPT;
    default:
        return RSP_NOTHING;
    }
}

static void in_body(struct rsp_reader *r, uint8_t byte)
{
    if (byte == '$') {
        begin_body(r, false); /* the one before was cut off */
    } else if (byte == '#') {
        r->state = FIRST_DIGIT;
    } else {
        r->sum += byte;
        if (r->bytes < RSP_BODY_MAX)
            r->body[r->bytes] = (char)byte;
        if (r->bytes <= RSP_BODY_MAX)
            r->bytes++;
    }
}

static enum rsp_item at_end(struct rsp_reader *r, uint8_t byte)
{
    int low = digit_value(byte), high = digit_value(r->said);
    bool right = low >= 0 && high >= 0 && r->sum == high * 16 + low && r->bytes <= RSP_BODY_MAX;

    r->state = BETWEEN;
    if (r->note)
        return RSP_NOTHING;
    if (!right)
        return RSP_BROKEN;
    r->body[r->bytes] = '\0';
    return RSP_PACKET;
}

enum rsp_item rsp_take(struct rsp_reader *r, uint8_t byte)
{
    switch ((enum state)r->state) {
    case BETWEEN:
        return between(r, byte);
    case IN_BODY:
        in_body(r, byte);
        return RSP_NOTHING;
    case FIRST_DIGIT:
        r->said = byte;
        r->state = SECOND_DIGIT;
        return RSP_NOTHING;
    default:
        return at_end(r, byte);
    }
}

static const char digits[] = "0123456789abcdef";

size_t rsp_frame(const char *body, size_t bytes, char *ret_packet, size_t room)
{
    uint8_t sum = 0;

    if (room < RSP_FRAME || bytes > room - RSP_FRAME)
        return 0;
    for (size_t i = 0; i < bytes; i++)
        sum += (uint8_t)body[i];
    ret_packet[0] = '$';
    memcpy(ret_packet + 1, body, bytes);
    ret_packet[bytes + 1] = '#';
    ret_packet[bytes + 2] = digits[sum >> 4];
    ret_packet[bytes + 3] = digits[sum & 15];
    return bytes + RSP_FRAME;
}

enum { ESCAPE = '}', ESCAPED = 0x20 };

size_t rsp_unescape(char *data, size_t bytes)
{
    size_t used = 0;

    for (size_t i = 0; i < bytes; i++) {
        bool escaped = data[i] == ESCAPE && i + 1 < bytes;

        data[used++] = escaped ? (char)(data[++i] ^ ESCAPED) : data[i];
    }
    return used;
}

bool rsp_number(const char **at, uint64_t *ret_value)
{
    const char *p = *at;
    uint64_t value = 0;

    for (int digit; (digit = digit_value((uint8_t)*p)) >= 0; p++) {
        if (p - *at == 16)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
    if (p == *at)
        return false;
    *at = p;
    *ret_value = value;
    return true;
}

bool rsp_hex_bytes(const char *text, void *ret_data, size_t bytes)
{
    uint8_t *data = ret_data;

    for (size_t i = 0; i < bytes; i++) {
        int high = digit_value((uint8_t)text[2 * i]);
        int low = high < 0 ? -1 : digit_value((uint8_t)text[2 * i + 1]);

        if (low < 0)
            return false;
        data[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

size_t rsp_put_hex(char *ret_text, const void *data, size_t bytes)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < bytes; i++) {
        ret_text[2 * i] = digits[p[i] >> 4];
        ret_text[2 * i + 1] = digits[p[i] & 15];
    }
    ret_text[2 * bytes] = '\0';
    return 2 * bytes;
}

static bool needs_escape(char c)
{
    return c == '#' || c == '$' || c == ESCAPE || c == '*';
}

size_t rsp_slice(const char *range, const char *text, size_t text_bytes, char ret_body[RSP_BODY_MAX + 1])
{
    uint64_t offset, length;
    size_t used = 1, at;

    if (!rsp_number(&range, &offset) || *range++ != ',' || !rsp_number(&range, &length) || *range ||
        offset > text_bytes) {
        strcpy(ret_body, "E01");
        return 3;
    }
    for (at = (size_t)offset; at < text_bytes && length; at++, length--) {
        if (used + 2 > RSP_BODY_MAX)
            break;
        if (needs_escape(text[at])) {
            ret_body[used++] = ESCAPE;
            ret_body[used++] = (char)(text[at] ^ ESCAPED);
        } else {
            ret_body[used++] = text[at];
        }
    }
    ret_body[0] = at < text_bytes ? 'm' : 'l';
    ret_body[used] = '\0';
    return used;
}
