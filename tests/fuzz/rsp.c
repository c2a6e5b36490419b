/* Arbitrary bytes as GDB's remote protocol: a packet that was read can be made again, and slices stay within bounds.
 * sources: introspect/base
 */
#include "introspect/base/rsp.h"
#include <stdlib.h>
#include <string.h>

static void check_packet(const struct rsp_reader *r)
{
    static char packet[RSP_BODY_MAX + RSP_FRAME], body[RSP_BODY_MAX + 1];
    static struct rsp_reader again;
    size_t n = rsp_frame(r->body, r->bytes, packet, sizeof packet);
    enum rsp_item item = RSP_NOTHING;

    memset(&again, 0, sizeof again);
    for (size_t i = 0; i < n; i++)
        item = rsp_take(&again, (uint8_t)packet[i]);
    if (item != RSP_PACKET || again.bytes != r->bytes || memcmp(again.body, r->body, r->bytes) != 0)
        abort();
    if (rsp_slice(r->body, r->body, r->bytes, body) > RSP_BODY_MAX)
        abort();
    memcpy(body, r->body, r->bytes);
    if (rsp_unescape(body, r->bytes) > r->bytes)
        abort();
    (void)rsp_hex_bytes(r->body, body, r->bytes / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rsp_reader reader;

    memset(&reader, 0, sizeof reader);
    for (size_t i = 0; i < size; i++)
        if (rsp_take(&reader, data[i]) == RSP_PACKET)
            check_packet(&reader);
    return 0;
}
