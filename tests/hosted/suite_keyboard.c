/* The keyboard cell behind a made-up i8042: what keys give with shift, caps lock and control, and what is lost. */
#include "cells/drivers/keyboard/keyboard.c"
#include "cells/core/vector/vector.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <string.h>

Suite *suite_hosted_keyboard(void);

enum { VECTOR = 0x41, A = 0x1e, Z = 0x2c, ONE = 0x02, QUOTE = 0x28, ENTER = 0x1c, SPACE = 0x39, KEYS_MAX = 256 };

/* ---- the controller and what it is attached to ---- */

static struct {
    uint8_t bytes[KEYS_MAX], auxiliary[KEYS_MAX];
    size_t head, tail;
    uint8_t config, written;
    bool absent, writes_config;
} controller;
static exception_handler *bound;
static unsigned routed, ended;

static uint8_t controller_out(uint16_t port, uint8_t value)
{
    if (port == PORT_COMMAND && value == READ_CONFIG)
        controller.bytes[controller.tail++] = controller.config;
    if (port == PORT_DATA && controller.writes_config)
        controller.written = value;
    controller.writes_config = port == PORT_COMMAND && value == WRITE_CONFIG;
    return 0;
}

static uint8_t controller_port(uint16_t port, bool out, uint8_t value)
{
    bool full = controller.head < controller.tail;

    ck_assert(port == PORT_DATA || port == PORT_COMMAND);
    if (controller.absent)
        return 0xff;
    if (out)
        return controller_out(port, value);
    if (port == PORT_COMMAND)
        return full ? STATUS_OUTPUT | controller.auxiliary[controller.head] : 0;
    return full ? controller.bytes[controller.head++] : 0;
}

unsigned vector_new(void)
{
    return VECTOR;
}

enum err vector_bind(unsigned vector, exception_handler *handler)
{
    ck_assert_uint_eq(vector, VECTOR);
    bound = handler;
    return ERR_OK;
}

enum err ioapic_route(unsigned irq, unsigned vector)
{
    ck_assert(irq == 1 && vector == VECTOR);
    routed++;
    return ERR_OK;
}

void apic_eoi(void)
{
    ended++;
}

/* Nobody else runs who could press a key. */
enum wake wait_queue_wait(struct wait_queue *, struct lock_guard *, uint64_t)
{
    return WAKE_TIMEOUT;
}

bool wait_queue_wake_one(struct wait_queue *)
{
    return false;
}

void log_info(const char *, ...)
{
}

static void setup(void)
{
    stand_in_start();
    stand_in.port = controller_port;
    controller.config = CONFIG_FIRST_OFF | CONFIG_SECOND_INTERRUPT;
}

static void setup_present(void)
{
    setup();
    ck_assert_int_eq(keyboard_init(), ERR_OK);
    ck_assert_ptr_nonnull(bound);
}

static void scan(uint8_t code, uint8_t status)
{
    controller.bytes[controller.tail] = code;
    controller.auxiliary[controller.tail++] = status;
}

/* Presses, or with `up` lets go, the key of a scan code. */
static void key(uint8_t code, bool up)
{
    scan((uint8_t)(code | (up ? SCAN_RELEASED : 0)), 0);
    bound(NULL);
}

static void type(uint8_t code)
{
    key(code, false);
    key(code, true);
}

static const char *typed(void)
{
    static char text[RING_BYTES + 1];

    text[keyboard_read(text, RING_BYTES, 1)] = '\0';
    return text;
}

/* ---- keys ---- */

START_TEST(letters_digits_and_signs)
{
    static const char row[] = "qwertyuiop[]\nasdfghjkl;'`";

    type(A), type(ONE), type(SPACE), type(Z), type(ENTER);
    ck_assert_str_eq(typed(), "a1 z\n");
    for (uint8_t i = 0; i < sizeof row - 1; i++)
        type((uint8_t)(0x10 + i + (i > 12))); /* control lies between enter and a */
    ck_assert_str_eq(typed(), row);
    type(0x0e), type(0x0f), type(0x01), type(0x3b), type(0x58);
    ck_assert_str_eq(typed(), "\b\t\033"); /* function keys give nothing */
}
END_TEST

START_TEST(shift_gives_capitals_while_it_is_held)
{
    static const uint8_t shift[] = {SCAN_LEFT_SHIFT, SCAN_RIGHT_SHIFT};

    for (size_t i = 0; i < array_size(shift); i++) {
        type(A), key(shift[i], false), type(A), type(ONE), type(QUOTE), key(shift[i], true), type(A), type(ONE);
        ck_assert_str_eq(typed(), "aA!\"a1");
    }
}
END_TEST

START_TEST(caps_lock_is_for_letters_until_the_next)
{
    type(SCAN_CAPS), type(A), type(ONE), type(Z);
    key(SCAN_LEFT_SHIFT, false), type(A), type(ONE), key(SCAN_LEFT_SHIFT, true);
    type(SCAN_CAPS), type(A);
    ck_assert_str_eq(typed(), "A1Za!a");
}
END_TEST

START_TEST(control_gives_control_characters)
{
    key(SCAN_CONTROL, false), type(A), type(Z), type(ONE), key(SCAN_CONTROL, true), type(A);
    scan(SCAN_EXTENDED, 0), key(SCAN_CONTROL, false), type(0x20); /* the one on the right, d */
    scan(SCAN_EXTENDED, 0), key(SCAN_CONTROL, true), type(0x20);
    ck_assert_str_eq(typed(), "\001\0321a\004d");
}
END_TEST

START_TEST(extended_keys)
{
    static const uint8_t code[] = {0x48, 0x50, 0x4b, 0x4d, 0x1c, 0x35, 0x53};
    static const uint8_t expected[] = {KEYBOARD_UP, KEYBOARD_DOWN, KEYBOARD_LEFT, KEYBOARD_RIGHT, '\n', '/', 0};

    for (size_t i = 0; i < array_size(code); i++) {
        scan(SCAN_EXTENDED, 0), scan(SCAN_LEFT_SHIFT, 0); /* a shift that the keyboard makes up */
        scan(SCAN_EXTENDED, 0), key(code[i], false);
        scan(SCAN_EXTENDED, 0), key(code[i], true);
        scan(SCAN_EXTENDED, 0), key(SCAN_LEFT_SHIFT, true);
    }
    ck_assert_str_eq(typed(), (const char *)expected);
    type(A);
    ck_assert_str_eq(typed(), "a");
}
END_TEST

START_TEST(the_mouse_is_not_heard)
{
    scan(A, STATUS_AUXILIARY), scan(Z, 0);
    bound(NULL);
    ck_assert_str_eq(typed(), "z");
    ck_assert_uint_eq(ended, 1);
}
END_TEST

START_TEST(what_nobody_takes_is_lost_at_the_end)
{
    char text[2 * RING_BYTES];

    for (int i = 0; i < RING_BYTES + 9; i++)
        type(i ? A : Z);
    ck_assert_uint_eq(keyboard_read(text, 3, 1), 3);
    ck_assert(text[0] == 'z' && text[1] == 'a');
    ck_assert_uint_eq(keyboard_read(text, sizeof text, 1), RING_BYTES - 3);
    ck_assert_uint_eq(keyboard_read(text, sizeof text, 1), 0);
    type(Z);
    ck_assert_str_eq(typed(), "z");
}
END_TEST

/* ---- the controller ---- */

START_TEST(the_controller_is_put_into_a_known_state)
{
    scan(0x77, 0); /* from before */
    ck_assert_int_eq(keyboard_init(), ERR_OK);
    ck_assert_uint_eq(controller.written, CONFIG_FIRST_INTERRUPT | CONFIG_TRANSLATE);
    ck_assert_uint_eq(routed, 1);
    type(A);
    ck_assert_str_eq(typed(), "a");
    ck_assert_int_eq(keyboard_init(), ERR_OK); /* again after a swap: once is enough */
    ck_assert_uint_eq(routed, 1);
}
END_TEST

START_TEST(no_controller_is_no_error)
{
    controller.absent = true;
    ck_assert_int_eq(keyboard_init(), ERR_OK);
    ck_assert_ptr_null(bound);
    ck_assert_str_eq(typed(), "");
}
END_TEST

Suite *suite_hosted_keyboard(void)
{
    Suite *s = suite_create("hosted keyboard");
    TCase *keys = tcase_create("keys"), *start = tcase_create("start");

    tcase_add_checked_fixture(keys, setup_present, NULL);
    tcase_add_test(keys, letters_digits_and_signs);
    tcase_add_test(keys, shift_gives_capitals_while_it_is_held);
    tcase_add_test(keys, caps_lock_is_for_letters_until_the_next);
    tcase_add_test(keys, control_gives_control_characters);
    tcase_add_test(keys, extended_keys);
    tcase_add_test(keys, the_mouse_is_not_heard);
    tcase_add_test(keys, what_nobody_takes_is_lost_at_the_end);
    suite_add_tcase(s, keys);
    tcase_add_checked_fixture(start, setup, NULL);
    tcase_add_test(start, the_controller_is_put_into_a_known_state);
    tcase_add_test(start, no_controller_is_no_error);
    suite_add_tcase(s, start);
    return s;
}
