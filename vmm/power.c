/* See power.h. */
#include "vmm/power.h"

static void update_sci(struct power *p)
{
    bool level = p->status & p->enable;

    if (level == p->irq)
        return;
    p->irq = level;
    if (p->set_irq)
        p->set_irq(p->owner, level);
}

void power_reset(struct power *p)
{
    p->status = p->enable = 0;
    update_sci(p);
}

uint8_t power_event_in(const struct power *p, unsigned at)
{
    return (uint8_t)((at < 2 ? p->status : p->enable) >> 8 * (at & 1));
}

void power_event_out(struct power *p, unsigned at, uint8_t value)
{
    unsigned shift = 8 * (at & 1);

    if (at < 2)
        p->status &= (uint16_t) ~(value << shift);
    else
        p->enable = (uint16_t)((p->enable & ~(0xff << shift)) | value << shift);
    update_sci(p);
}

void power_press(struct power *p)
{
    p->status |= POWER_BUTTON;
    update_sci(p);
}
