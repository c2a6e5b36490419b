/* An empty disk of QEMU's, on which it keeps a machine's state: four clusters, written here, so that no program is
 * needed for it. */
#pragma once
#include <stdbool.h>

/* Makes a file that is empty into such a disk. False: errno says why. */
[[nodiscard]] bool qcow2_write(int fd);
