/* An application that comes later than the namespaces: its exit code is what cell C says of 0, by way of figure_user. */
#include "tests/guest/figure_user/figure_user.h"

CELL("figure_late", APPLICATION, 1);

static int figure_late_main(int, char **)
{
    return (int)figure_user(0);
}
MAIN(figure_late_main);
