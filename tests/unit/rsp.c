/* GDB's remote protocol: packets read from whole and broken bytes, made, escaped and sliced; and the points of a client
 * that are to be taken back for it. */
#include "introspect/base/rsp.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "debugger/points.h"
#include "introspect/base/own.h"

Suite *suite_rsp(void);

static struct rsp_reader reader;
static char text[RSP_BODY_MAX + 1];

/* Gives it a string; returns the last item that is something. */
static enum rsp_item take(const char *bytes)
{
    enum rsp_item last = RSP_NOTHING;

    for (; *bytes; bytes++) {
        enum rsp_item item = rsp_take(&reader, (uint8_t)*bytes);
        if (item != RSP_NOTHING)
            last = item;
    }
    return last;
}

static void setup(void)
{
    memset(&reader, 0, sizeof reader);
}

START_TEST(packets)
{
    ck_assert_int_eq(take("$g#67"), RSP_PACKET);
    ck_assert_str_eq(reader.body, "g");
    ck_assert_int_eq(take("garbage+"), RSP_ACK);
    ck_assert_int_eq(take("-"), RSP_RESEND);
    ck_assert_int_eq(take("\3"), RSP_INTERRUPT);
    ck_assert_int_eq(take("$#00"), RSP_PACKET);
    ck_assert_uint_eq(reader.bytes, 0);
    /* capitals, and one that begins again */
    ck_assert_int_eq(take("$m1,2$vCont?;#B4"), RSP_BROKEN);
    ck_assert_int_eq(take("$m1,2$vCont?#49"), RSP_PACKET);
    ck_assert_str_eq(reader.body, "vCont?");
    ck_assert_int_eq(take("$\3+-#30"), RSP_BROKEN);
    ck_assert_int_eq(take("$O\n#59"), RSP_PACKET);
}
END_TEST

START_TEST(broken)
{
    ck_assert_int_eq(take("$g#68"), RSP_BROKEN);
    ck_assert_int_eq(take("$g#6"), RSP_NOTHING);
    ck_assert_int_eq(take("g"), RSP_BROKEN);
    ck_assert_int_eq(take("$g#xx"), RSP_BROKEN);
    ck_assert_int_eq(take("%Stop:T05#99"), RSP_NOTHING);
    ck_assert_int_eq(take("$g#67"), RSP_PACKET);
}
END_TEST

START_TEST(longest)
{
    char packet[RSP_BODY_MAX + RSP_FRAME + 2];

    memset(text, 'A', RSP_BODY_MAX);
    ck_assert_uint_eq(rsp_frame(text, RSP_BODY_MAX, packet, RSP_BODY_MAX + RSP_FRAME - 1), 0);
    ck_assert_uint_eq(rsp_frame(text, RSP_BODY_MAX, packet, RSP_BODY_MAX + RSP_FRAME), RSP_BODY_MAX + RSP_FRAME);
    packet[RSP_BODY_MAX + RSP_FRAME] = '\0';
    ck_assert_int_eq(take(packet), RSP_PACKET);
    ck_assert_uint_eq(reader.bytes, RSP_BODY_MAX);
    /* one more byte, with the right sum */
    memmove(packet + 2, packet + 1, RSP_BODY_MAX + 3);
    packet[1] = 'A';
    snprintf(packet + RSP_BODY_MAX + 3, 3, "%02x", (RSP_BODY_MAX + 1) * 'A' & 0xff);
    ck_assert_int_eq(take(packet), RSP_BROKEN);
    ck_assert_int_eq(take("$g#67"), RSP_PACKET);
}
END_TEST

START_TEST(numbers)
{
    const char *at = "fFffffffffffffff,10";
    uint64_t value;
    uint8_t bytes[2];

    ck_assert(rsp_number(&at, &value));
    ck_assert_uint_eq(value, UINT64_MAX);
    ck_assert_str_eq(at, ",10");
    ck_assert(!rsp_number(&at, &value));
    at = "10000000000000000";
    ck_assert(!rsp_number(&at, &value));
    ck_assert(rsp_hex_bytes("0aFf", bytes, 2) && bytes[0] == 0x0a && bytes[1] == 0xff);
    ck_assert(!rsp_hex_bytes("0a", bytes, 2) && !rsp_hex_bytes("0a0", bytes, 2) && !rsp_hex_bytes("0g", bytes, 1));
    ck_assert_uint_eq(rsp_put_hex(text, "\x01\xfe", 2), 4);
    ck_assert_str_eq(text, "01fe");
}
END_TEST

START_TEST(slices)
{
    static const char source[] = "a#b$c}d*e";
    char escaped[] = "a}\x03"
                     "b}";

    ck_assert_uint_eq(rsp_slice("0,3", source, 9, text), 5);
    ck_assert_str_eq(text, "ma}\x03"
                           "b");
    ck_assert_uint_eq(rsp_slice("8,ffffffffffffffff", source, 9, text), 2);
    ck_assert_str_eq(text, "le");
    ck_assert_uint_eq(rsp_slice("9,1", source, 9, text), 1);
    ck_assert_str_eq(text, "l");
    for (size_t i = 0; i < 5; i++) {
        static const char *const bad[] = {"a,1", "", "1", "0,", "0,1,"};
        (void)rsp_slice(bad[i], source, 9, text);
        ck_assert_str_eq(text, "E01");
    }
    ck_assert_uint_eq(rsp_unescape(escaped, 5), 4);
    ck_assert_mem_eq(escaped, "a#b}", 4);
    /* all of a text that has to be escaped is more than fits */
    OWN(memory) char *much = malloc(RSP_BODY_MAX);
    ck_assert_ptr_nonnull(much);
    memset(much, '#', RSP_BODY_MAX);
    ck_assert_uint_le(rsp_slice("0,ffffff", much, RSP_BODY_MAX, text), RSP_BODY_MAX);
    ck_assert_int_eq(text[0], 'm');
}
END_TEST

START_TEST(points)
{
    static struct points p;
    char body[POINT_BYTES + 8];

    points_note(&p, "Z0,1000,1");
    points_note(&p, "Z0,1000,1");
    points_note(&p, "Z2,2000,8");
    points_note(&p, "z0,3000,1");
    points_note(&p, "m0,1");
    ck_assert_uint_eq(p.count, 2);
    points_note(&p, "z0,1000,1");
    ck_assert_uint_eq(p.count, 1);
    ck_assert_str_eq(p.point[0], "2,2000,8");
    memset(body, 'Z', sizeof body);
    body[POINT_BYTES + 1] = '\0';
    ck_assert(points_refuse(&p, body));
    body[POINT_BYTES] = '\0';
    ck_assert(!points_refuse(&p, body));
    for (unsigned i = 0; p.count < POINTS_MAX; i++) {
        snprintf(body, sizeof body, "Z1,%x,1", i);
        ck_assert(!points_refuse(&p, body));
        points_note(&p, body);
    }
    ck_assert(points_refuse(&p, "Z1,fffff,1"));
    ck_assert(!points_refuse(&p, "Z2,2000,8") && !points_refuse(&p, "z2,2000,8"));
}
END_TEST

Suite *suite_rsp(void)
{
    Suite *s = suite_create("rsp");
    TCase *t = tcase_create("rsp");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, packets);
    tcase_add_test(t, broken);
    tcase_add_test(t, longest);
    tcase_add_test(t, numbers);
    tcase_add_test(t, slices);
    tcase_add_test(t, points);
    suite_add_tcase(s, t);
    return s;
}
